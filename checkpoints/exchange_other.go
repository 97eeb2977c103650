//go:build !linux

package checkpoints

import "errors"

// exchange would swap two folders in one step, which only Linux offers.
func exchange(string, string) error { return errors.ErrUnsupported }
