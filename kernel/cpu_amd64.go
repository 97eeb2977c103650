//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// halvesVectors says that AVX-512 instructions run as two halves, so that they multiply no faster
// than AVX2, which needs half the first-level cache for a panel of B: AMD's Zen 4. (Zen 3, of the
// same family, has no AVX-512.) It is variable for tests.
var halvesVectors = isZen4()

func isZen4() bool {
	const authenticAMD, family19 = 0x68747541, 10 // "Auth"; the extended family counts from 0xF
	_, vendor, _, _ := cpuid(0)
	version, _, _, _ := cpuid(1)
	return vendor == authenticAMD && version>>8&0xF == 0xF && version>>20&0xFF == family19
}

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
