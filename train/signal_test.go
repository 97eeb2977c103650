package train

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"sparrow/internal/shell"
)

func TestInterruptTwice(t *testing.T) {
	signals := make(chan os.Signal)
	messages := make(chan string, 2)
	exits := make(chan int, 1)
	released := 0
	i := newInterrupt(signals, func() { released++ },
		func(format string, args ...any) { messages <- fmt.Sprintf(format, args...) },
		func(code int) { exits <- code })
	if i.Interrupted() {
		t.Error("interrupted before any signal")
	}
	signals <- os.Interrupt
	<-i.done
	if !i.Interrupted() {
		t.Error("not interrupted after a signal")
	}
	if got, want := <-messages, "stopping at the next batch, saving a checkpoint (again to stop at once)"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	select {
	case code := <-exits:
		t.Fatalf("the first signal ended the process with code %d", code)
	default:
	}
	signals <- syscall.SIGTERM
	if code := <-exits; code != 130 {
		t.Errorf("the second signal exits with %d, want 130", code)
	}
	i.Stop()
	i.Stop()
	if released != 1 {
		t.Errorf("the signals were given back %d times, want once", released)
	}
	if len(messages) != 0 {
		t.Errorf("a second message: %q", <-messages)
	}
}

func TestInterruptStop(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupted %v", interrupted), func(t *testing.T) {
			signals := make(chan os.Signal, 2)
			i := newInterrupt(signals, func() {}, func(string, ...any) {}, func(code int) { t.Errorf("exit %d after Stop", code) })
			if interrupted {
				signals <- os.Interrupt
				<-i.done
			}
			i.Stop()
			signals <- os.Interrupt // nobody listens any more
			if got := i.Interrupted(); got != interrupted {
				t.Errorf("Interrupted() = %v after Stop, want %v", got, interrupted)
			}
		})
	}
}

// TestNotifyInterrupt sends real signals to a process of its own: this test binary, started again.
func TestNotifyInterrupt(t *testing.T) {
	if os.Getenv("SPARROW_TEST_INTERRUPT") != "" {
		i := NotifyInterrupt(func(format string, args ...any) { fmt.Printf(format+"\n", args...) }, os.Exit)
		fmt.Println("ready")
		<-i.done
		select {} // the step that never ends
	}
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send itself an interrupt")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestNotifyInterrupt$")
	cmd.Env = append(os.Environ(), "SPARROW_TEST_INTERRUPT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var seen strings.Builder
	await := func(text string) {
		t.Helper()
		buffer := make([]byte, 256)
		for !strings.Contains(seen.String(), text) {
			n, err := out.Read(buffer)
			seen.Write(buffer[:n])
			if err != nil {
				t.Fatalf("the process wrote %q and ended; want %q", seen.String(), text)
			}
		}
	}
	await("ready")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	await("again to stop at once")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != shell.ExitInterrupted {
		t.Errorf("the process ended with %v (code %d), want code %d", err, code, shell.ExitInterrupted)
	}
}
