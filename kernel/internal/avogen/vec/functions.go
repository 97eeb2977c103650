package main

import "github.com/mmcloughlin/avo/reg"

// roundingShift added to a float of magnitude below 2^22 leaves its nearest integer in the low mantissa bits.
const roundingShift = 3 << 22

// exp returns e^x to about 1e-7 relative: x = n ln 2 + r with |r| <= ln(2)/2, e^x = 2^n p(r). The degree-6 polynomial is
// a minimax fit of the relative error (3e-9), with its first two coefficients fixed at 1. The clamps keep n within
// timesPowerOf2's range and are past the points where the result is 0 and +Inf.
func (a *asm) exp(x reg.VecVirtual) reg.VecVirtual {
	x = a.clampBelow(a.clampAbove(x, 89), -104)
	shifted := a.copy(a.r(roundingShift))
	a.addMul(shifted, x, a.c(1.44269504088896341))
	n := a.sub(shifted, a.r(roundingShift))
	a.subMul(x, n, a.c(0.693359375))       // ln 2, high part: few enough bits that n times it is exact
	a.subMul(x, n, a.c(-2.12194440054e-4)) // ln 2, low part
	p := a.horner(x, 0.0013814559851700466, 0.008368735561303431, 0.041668389859221625, 0.1666652047775704, 0.4999999343742103, 1, 1)
	return a.timesPowerOf2(p, n, shifted)
}

// sigmoid returns 1/(1 + e^-x).
func (a *asm) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	return a.div(a.copy(a.r(1)), a.add(a.exp(a.neg(x)), a.c(1)))
}

// tanh returns 1 - 2/(e^2|x| + 1) with the sign of x, or for |x| < 0.625, where that loses digits, the odd polynomial of the
// Cephes library (tanhf.c).
func (a *asm) tanh(x reg.VecVirtual) reg.VecVirtual {
	z := a.abs(x)
	q := a.add(a.exp(a.add(z, z)), a.c(1))
	large := a.sub(a.copy(a.r(1)), a.div(a.copy(a.r(2)), q))
	sign := a.bits(0x80000000)
	signed := a.fresh(func(d reg.VecVirtual) { a.VANDPS(sign, x, d) })
	a.do(func() { a.VORPS(large, signed, signed) })
	x2 := a.mul(x, x)
	small := a.horner(x2, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	small = a.mul(a.mul(small, x2), x)
	small = a.add(small, x)
	return a.ifNegative(a.sub(z, a.c(0.625)), small, signed)
}

// normalTail returns Phi(-|x|) and e^(-x²/2), Phi being the normal distribution function. With t = 1/(1 + 0.305|x|),
// Phi(-|x|) = e^(-x²/2) t R(t); R is a minimax fit of the relative error on |x| < 13.5 (1e-7 in exact arithmetic, 4e-7 in
// float32), the form of Abramowitz and Stegun 7.1.26.
func (a *asm) normalTail(x reg.VecVirtual) (tail, density reg.VecVirtual) {
	d := a.copy(a.r(1))
	a.addMul(d, a.abs(x), a.c(0.3050000071525574))
	t := a.div(a.copy(a.r(1)), d)
	density = a.exp(a.mul(a.mul(x, x), a.c(-0.5)))
	r := a.horner(t, 0.0366988599443971, -0.15298694199982477, 0.18571455111489754, -0.037974691385872596,
		0.1210205595514589, 0.10342120425864462, 0.12246676648224142, 0.12163973896017952)
	return a.mul(a.mul(r, t), density), density
}

// tanhGateLimit is where the tanh GELU's gate has become 0 or 1; clamping there keeps x³ finite.
const tanhGateLimit = 24

// tanhGate returns, for x clamped to the limit, sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x³), and x².
func (a *asm) tanhGate(x reg.VecVirtual) (gate, x2 reg.VecVirtual) {
	const root = 2 * 0.7978845608028654
	x2 = a.mul(x, x)
	u := a.copy(a.r(root))
	a.addMul(u, x2, a.c(root*0.044715))
	return a.sigmoid(a.mul(u, x)), x2
}

// siluSlope returns s = sigmoid(x) and the derivative of x*sigmoid(x), s*(1 + x*(1-s)).
func (a *asm) siluSlope(x reg.VecVirtual) (s, slope reg.VecVirtual) {
	s = a.sigmoid(x)
	slope = a.sub(a.r(1), s)
	a.mulAdd(slope, x, a.c(1))
	return s, a.mul(slope, s)
}

// normalised returns (x - mean)*rstd.
func (a *asm) normalised() reg.VecVirtual {
	return a.mul(a.sub(a.load("x"), a.scalar("mean")), a.scalar("rstd"))
}

// normGradInput stores dx = rstd*(dy*w - a - n*b).
func (a *asm) normGradInput(n, dy reg.VecVirtual) {
	w := a.load("w")
	a.mulSub(dy, w, a.scalar("a"))
	a.subMul(dy, n, a.scalar("b"))
	a.store("dx", a.mul(dy, a.scalar("rstd")))
}
