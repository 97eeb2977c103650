//go:build !amd64 || purego

package kernel

import "unsafe"

func dot(_ isaLevel, double bool, args *dotArgs) {
	if double {
		dotGo[float64](args)
	} else {
		dotGo[float32](args)
	}
}

func dotRows(isaLevel) int         { return 1 }
func dotGroupOf(isaLevel, int) int { return 1 }
func dotMasks(int) unsafe.Pointer  { return nil }
