//go:build !linux

package machine

// availableMemory is not known on this system.
func availableMemory() int { return 0 }
