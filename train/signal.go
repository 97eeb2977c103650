package train

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"sparrow/internal/shell"
)

// Interrupt turns SIGINT, SIGTERM and SIGHUP into a request to stop that a training loop can follow between two steps.
type Interrupt struct {
	done     chan struct{} // closed at the first signal
	quit     chan struct{} // closed by Stop
	finished chan struct{} // closed when the goroutine has ended
	once     sync.Once
	release  func()
}

// NotifyInterrupt catches SIGINT, SIGTERM and SIGHUP, which a terminal sends that is closed, until Stop. The first sets Interrupted and passes one line for
// the user to message. The second means "now": it calls exit(shell.ExitInterrupted), which the caller sets to
// os.Exit, because a library does not end the process by itself. Both are called from a goroutine of the
// Interrupt's own; Progress.Message fits.
func NotifyInterrupt(message func(format string, args ...any), exit func(code int)) *Interrupt {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// One who no longer reads what a run tells, as after a connection is lost, does not end it: writing fails and nothing else.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return newInterrupt(signals, func() { signal.Stop(signals); signal.Stop(broken) }, message, exit)
}

func newInterrupt(signals <-chan os.Signal, release func(), message func(string, ...any), exit func(int)) *Interrupt {
	i := &Interrupt{done: make(chan struct{}), quit: make(chan struct{}), finished: make(chan struct{}), release: release}
	go func() {
		defer close(i.finished)
		select {
		case <-signals:
		case <-i.quit:
			return
		}
		close(i.done)
		message("stopping at the next batch, saving a checkpoint (again to stop at once)")
		select {
		case <-signals:
			exit(shell.ExitInterrupted)
		case <-i.quit:
		}
	}()
	return i
}

// Interrupted tells whether the run was asked to stop.
func (i *Interrupt) Interrupted() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// Stop gives the signals back to the process and waits until nothing of the Interrupt runs any more; Interrupted
// keeps its answer. Stopping twice is harmless.
func (i *Interrupt) Stop() {
	i.once.Do(func() {
		i.release()
		close(i.quit)
	})
	<-i.finished
}
