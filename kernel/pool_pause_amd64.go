//go:build amd64 && !purego

package kernel

// pauseBurst waits for a fraction of a microsecond.
func pauseBurst() { pause(8) }
