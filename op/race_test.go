//go:build race

package op

// The race detector makes sync.Pool forget at random, so memory is allocated anew.
func init() { underRace = true }
