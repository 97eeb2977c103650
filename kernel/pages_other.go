//go:build !linux

package kernel

// adviseLarge does nothing: the system is not known to take advice.
func adviseLarge([]byte) {}
