//go:build !amd64 || purego

package kernel

func vecLookupAxpy(y, values []float32, index []uint8, table []float32) {
	goLookupAxpy(y, values, index, table)
}

func vecLookupRows(Codes[float32], []float32, int, int) bool { return false }

func vecLookupRowsGrad(_ Codes[float32], _, _, _ []float32, _, _ int) bool { return false }
