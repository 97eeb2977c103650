//go:build !linux

package main

// resident is how many bytes of a process are in memory; it cannot be told here, so that only time is limited.
func resident(int) int64 { return 0 }
