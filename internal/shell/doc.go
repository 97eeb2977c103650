// Package shell holds what a program shares with the shell that started it: how commands are written that a user can
// paste, and exit codes. It must not know what the programs do.
//
//	return fmt.Errorf("%s is not complete; continue it by: %s", dir, shell.Command("train", "resume", dir))
package shell
