//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// bestISA returns the highest level of this CPU whose registers the operating system saves, too.
func bestISA() isaLevel {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return isaGo
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return isaAVX512
	}
	return isaAVX2
}
