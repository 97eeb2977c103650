package main

import (
	"math"

	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Three-operand arithmetic: the result is a fresh register. c may be a constant operand.

func (a *asm) fresh(f func(dst reg.VecVirtual)) reg.VecVirtual {
	v := a.vector()
	a.do(func() { f(v) })
	return v
}

func (a *asm) add(x reg.VecVirtual, c op.Op) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VADDPS(c, x, d) })
}

func (a *asm) sub(x reg.VecVirtual, c op.Op) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VSUBPS(c, x, d) })
}

func (a *asm) mul(x reg.VecVirtual, c op.Op) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VMULPS(c, x, d) })
}

func (a *asm) div(x reg.VecVirtual, c op.Op) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VDIVPS(c, x, d) })
}

func (a *asm) sqrt(x reg.VecVirtual) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VSQRTPS(x, d) })
}

// clampBelow and clampAbove return max(x, v) and min(x, v). MAXPS and MINPS return their second source when either is
// NaN, so x has to be that one for NaN to pass through.
func (a *asm) clampBelow(x reg.VecVirtual, v float64) reg.VecVirtual {
	c := a.r(v)
	return a.fresh(func(d reg.VecVirtual) { a.VMAXPS(x, c, d) })
}

func (a *asm) clampAbove(x reg.VecVirtual, v float64) reg.VecVirtual {
	c := a.r(v)
	return a.fresh(func(d reg.VecVirtual) { a.VMINPS(x, c, d) })
}

func (a *asm) abs(x reg.VecVirtual) reg.VecVirtual {
	c := a.bits(0x7fffffff)
	return a.fresh(func(d reg.VecVirtual) { a.VANDPS(c, x, d) })
}

func (a *asm) neg(x reg.VecVirtual) reg.VecVirtual {
	c := a.bits(0x80000000)
	return a.fresh(func(d reg.VecVirtual) { a.VXORPS(c, x, d) })
}

// Fused operations round once and overwrite their first operand.

// mulAdd sets p = p*x + c.
func (a *asm) mulAdd(p, x reg.VecVirtual, c op.Op) {
	a.do(func() { a.VFMADD213PS(c, x, p) })
}

// mulSub sets p = p*x - c.
func (a *asm) mulSub(p, x reg.VecVirtual, c op.Op) {
	a.do(func() { a.VFMSUB213PS(c, x, p) })
}

// addMul sets s = s + x*c.
func (a *asm) addMul(s, x reg.VecVirtual, c op.Op) {
	a.do(func() { a.VFMADD231PS(c, x, s) })
}

// subMul sets s = s - x*c.
func (a *asm) subMul(s, x reg.VecVirtual, c op.Op) {
	a.do(func() { a.VFNMADD231PS(c, x, s) })
}

func (a *asm) copy(c op.Op) reg.VecVirtual {
	return a.fresh(func(d reg.VecVirtual) { a.VMOVUPS(c, d) })
}

// horner evaluates the polynomial with the given coefficients, highest power first.
func (a *asm) horner(x reg.VecVirtual, coefficients ...float64) reg.VecVirtual {
	p := a.copy(a.c(coefficients[0]))
	for _, c := range coefficients[1:] {
		a.mulAdd(p, x, a.c(c))
	}
	return p
}

// ifNegative returns, lane by lane, x where the sign bit of s is set and y elsewhere.
func (a *asm) ifNegative(s, x, y reg.VecVirtual) reg.VecVirtual {
	if !a.wide {
		return a.fresh(func(d reg.VecVirtual) { a.VBLENDVPS(s, x, y, d) })
	}
	k := a.K()
	a.do(func() { a.VPMOVD2M(s, k) })
	return a.fresh(func(d reg.VecVirtual) { a.VBLENDMPS(x, y, k, d) })
}

// keepIfPositive returns, lane by lane, x where s > 0 and 0 elsewhere (NaN is not positive).
func (a *asm) keepIfPositive(s, x reg.VecVirtual) reg.VecVirtual {
	const lessThan = 1 // LT_OS: 0 < s
	zero := a.r(0)
	if !a.wide {
		d := a.vector()
		a.do(func() { a.VCMPPS(op.U8(lessThan), s, zero, d) })
		a.do(func() { a.VANDPS(x, d, d) })
		return d
	}
	k := a.K()
	a.do(func() { a.VCMPPS(op.U8(lessThan), s, zero, k) })
	return a.fresh(func(d reg.VecVirtual) { a.VMOVAPS_Z(x, k, d) })
}

// timesPowerOf2 returns p * 2^n, rounded once, for an integral n in [-160, 160] given both as a float and as shifted =
// n + roundingShift. Overflow, subnormals and NaN come out right.
func (a *asm) timesPowerOf2(p, n, shifted reg.VecVirtual) reg.VecVirtual {
	if a.wide {
		return a.fresh(func(d reg.VecVirtual) { a.VSCALEFPS(n, p, d) })
	}
	// One power of two has too small a range: split n = h + (n-h) with h = floor(n/2). The low nine bits of shifted
	// hold n, and moving them up by 23 makes an exponent.
	h, rest := a.vector(), a.vector()
	one := a.bits(math.Float32bits(1))
	a.do(func() { a.VPSRLD(op.U8(1), shifted, h) })
	a.do(func() { a.VPSUBD(h, shifted, rest) })
	for _, v := range []reg.VecVirtual{h, rest} {
		a.do(func() { a.VPSLLD(op.U8(23), v, v) })
		a.do(func() { a.VPADDD(one, v, v) })
	}
	return a.mul(a.mul(p, h), rest)
}
