//go:build !amd64 || purego

package kernel

import "testing"

// eachIntegers runs f once: there is Go alone.
func eachIntegers(t *testing.T, f func(t *testing.T)) { f(t) }
