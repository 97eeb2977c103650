//go:build !amd64 || purego

package kernel

func integersOf(isaLevel) integerLevel { return integersGo }

func integerProduct(_ integerLevel, bits int, args *integerArgs) { integerProductGo(bits, args) }

func vecRoundPieces([]byte, []float32, int, int, int) bool { return false }
