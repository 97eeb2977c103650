//go:build !amd64 || purego

package kernel

import "unsafe"

func vecDecode([]float32, Quantized, int) int { return 0 }

func vecDotCodes(isaLevel, unsafe.Pointer, unsafe.Pointer, Quantized, int, int, int, *buffer) bool {
	return false
}
