//go:build !amd64 || purego

package kernel

func bestISA() isaLevel { return isaGo }
