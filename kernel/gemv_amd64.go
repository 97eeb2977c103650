//go:build amd64 && !purego

package kernel

import "unsafe"

// dot runs the level's dot kernel.
func dot(l isaLevel, double bool, args *dotArgs) {
	p := (*byte)(unsafe.Pointer(args))
	switch {
	case l == isaAVX512 && double:
		dotF64AVX512(p)
	case l == isaAVX512:
		dotF32AVX512(p)
	case l == isaAVX2 && double:
		dotF64AVX2(p)
	case l == isaAVX2:
		dotF32AVX2(p)
	case double:
		dotGo[float64](args)
	default:
		dotGo[float32](args)
	}
}

// dotRows returns the most rows of X that the level's kernel takes.
func dotRows(l isaLevel) int { return [...]int{isaGo: 1, isaAVX2: 3, isaAVX512: 4}[l] }

// dotGroupOf returns the rows of W in a group for that many rows of X.
func dotGroupOf(l isaLevel, rows int) int {
	switch {
	case l == isaAVX512 && rows == 1:
		return 8
	case l == isaAVX512, l == isaAVX2 && rows == 1:
		return 4
	case l == isaAVX2:
		return 2
	}
	return 1
}

func dotMasks(n int) unsafe.Pointer { return unsafe.Pointer(selectBytes(n)) }
