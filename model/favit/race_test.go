//go:build race

package favit_test

// The race detector makes sync.Pool forget at random, so memory is allocated anew.
func init() { underRace = true }
