//go:build !amd64 || purego

package kernel

func vecCacheScores([]float32, int, []float32, int, CacheRows[float32], int, int, int, uintptr) bool {
	return false
}

func vecCacheValues([]float32, int, []float32, int, CacheRows[float32], int, int, int, uintptr) bool {
	return false
}

func vecRotateRows(dst, src, cos, sin []float32, rows, half int) bool { return false }

func vecDequantize([]float32, []int8, float32) int { return 0 }
