//go:build !amd64 || purego

package kernel

// halvesVectors is for AVX-512 only; see cpu_amd64.go.
var halvesVectors = false

func bestISA() isaLevel { return isaGo }
