package shell

import (
	"errors"
	"os/exec"
)

// Exit codes of every program.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the run failed
	ExitUsage       = 2   // usage or config error; nothing was created
	ExitBroken      = 3   // a verification found a broken promise
	ExitInterrupted = 130 // by a signal, the state is saved: 128 + SIGINT, as shells count
)

// Sentinel returns an error for errors.Is whose text and exit code are given; what wraps it has the code too.
func Sentinel(code int, text string) error { return &sentinel{code, text} }

type sentinel struct {
	code int
	text string
}

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) ExitCode() int { return s.code }

// ErrInterrupted ends what was asked to stop, and has saved its state where it has one.
var ErrInterrupted = Sentinel(ExitInterrupted, "train: interrupted")

// ExitCode is the exit code of an error: ExitOK of nil, what the first error in its tree says that has a method ExitCode,
// and else ExitFailed. The codes of child processes are theirs alone.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	var own interface {
		error
		ExitCode() int
	}
	if !errors.As(err, &own) {
		return ExitFailed
	}
	if _, child := own.(*exec.ExitError); child {
		return ExitFailed
	}
	return own.ExitCode()
}
