package data

// IgnoredTarget marks a target that counts neither in a loss nor in a number of tokens.
const IgnoredTarget = -1

// Resized returns a slice of n elements in the memory of s if it is large enough.
func Resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
