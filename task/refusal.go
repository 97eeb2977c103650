package task

import (
	"fmt"

	"sparrow/internal/shell"
)

// ErrUsage marks what the user asked for and cannot have.
var ErrUsage = shell.Sentinel(shell.ExitUsage, "train: cannot start")

// refusal matches ErrUsage without its words, which do not suit what starts nothing.
type refusal struct{ error }

func (r refusal) Is(target error) bool { return target == ErrUsage }

func (r refusal) Unwrap() error { return r.error }

func (r refusal) ExitCode() int { return shell.ExitUsage }

// Refuse makes an error that matches ErrUsage without its words.
func Refuse(err error) error { return refusal{err} }

// Refusef is fmt.Errorf of what the user asked for and cannot have, where nothing is trained: the error matches ErrUsage.
func Refusef(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }
