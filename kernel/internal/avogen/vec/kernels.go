package main

import "strings"

// kernels lists every vector kernel. Each matches the portable goName function in package kernel, parameter by parameter.
func kernels() []kernel {
	var all []kernel
	all = append(all, elementwise()...)
	all = append(all, reductions()...)
	all = append(all, norms()...)
	all = append(all, activations()...)
	return append(all, rotate, adamW)
}

func fields(s string) []string { return strings.Fields(s) }

func elementwise() []kernel {
	return []kernel{
		{name: "Add", doc: "dst = a + b", slices: fields("dst a b"), unroll: 2, body: func(a *asm) {
			a.store("dst", a.add(a.load("a"), a.load("b")))
		}},
		{name: "Mul", doc: "dst = a * b", slices: fields("dst a b"), unroll: 2, body: func(a *asm) {
			a.store("dst", a.mul(a.load("a"), a.load("b")))
		}},
		{name: "Axpy", doc: "y += alpha * x", slices: fields("y x"), scalars: fields("alpha"), unroll: 2, body: func(a *asm) {
			y := a.load("y")
			a.addMul(y, a.load("x"), a.scalar("alpha"))
			a.store("y", y)
		}},
		{name: "Scale", doc: "x *= alpha", slices: fields("x"), scalars: fields("alpha"), unroll: 2, body: func(a *asm) {
			a.store("x", a.mul(a.load("x"), a.scalar("alpha")))
		}},
		{name: "AddRows4", doc: "dst += (x0 + x1) + (x2 + x3)", slices: fields("dst x0 x1 x2 x3"), body: func(a *asm) {
			s := a.add(a.add(a.load("x0"), a.load("x1")), a.add(a.load("x2"), a.load("x3")))
			a.store("dst", a.add(s, a.load("dst")))
		}},
		{name: "Exp", doc: "dst = exp(x)", slices: fields("dst x"), body: func(a *asm) {
			a.store("dst", a.exp(a.load("x")))
		}},
		{name: "SoftmaxGrad", doc: "ds = scale * p * (dp - delta)", slices: fields("ds p dp"), scalars: fields("delta scale"), body: func(a *asm) {
			p := a.mul(a.load("p"), a.scalar("scale"))
			a.store("ds", a.mul(a.sub(a.load("dp"), a.scalar("delta")), p))
		}},
	}
}

func reductions() []kernel {
	return []kernel{
		{name: "Dot", doc: "the sum of a * b", slices: fields("a b"), results: 1, body: func(a *asm) {
			a.reduceProduct(0, a.load("a"), a.load("b"))
		}},
		{name: "Sum", doc: "the sum of x", slices: fields("x"), results: 1, body: func(a *asm) {
			a.reduceSum(0, a.load("x"))
		}},
		{name: "SumSquares", doc: "the sum of x², in float64", slices: fields("x"), results: 1, reduce: sum64, body: func(a *asm) {
			a.reduceSquares64(a.load("x"))
		}},
		{name: "SumSquaresAround", doc: "the sum of (x - mean)²", slices: fields("x"), scalars: fields("mean"), results: 1, body: func(a *asm) {
			d := a.zeroPastEnd(a.sub(a.load("x"), a.scalar("mean")))
			a.reduceProduct(0, d, d)
		}},
		{name: "Max", doc: "the largest entry of x, NaN skipped", slices: fields("x"), results: 1, reduce: maxima, body: func(a *asm) {
			a.reduceMax(a.load("x"))
		}},
		{name: "ZeroDot", doc: "the sum of 0 * x: NaN unless every entry is finite", slices: fields("x"), results: 1, body: func(a *asm) {
			a.reduceProduct(0, a.load("x"), a.r(0))
		}},
		{name: "ExpShift", doc: "dst = exp(scale*x - shift) and the sum of dst", slices: fields("dst x"), scalars: fields("scale shift"), results: 1, body: func(a *asm) {
			x := a.load("x")
			a.mulSub(x, a.scalar("scale"), a.scalar("shift"))
			y := a.exp(x)
			a.store("dst", y)
			a.reduceSum(0, y)
		}},
		{name: "ExpSum", doc: "the sum of exp(scale*x - shift)", slices: fields("x"), scalars: fields("scale shift"), results: 1, body: func(a *asm) {
			x := a.load("x")
			a.mulSub(x, a.scalar("scale"), a.scalar("shift"))
			a.reduceSum(0, a.exp(x))
		}},
	}
}

func norms() []kernel {
	return []kernel{
		{name: "NormScale", doc: "y = (x - mean)*rstd * w", slices: fields("y x w"), scalars: fields("mean rstd"), body: func(a *asm) {
			a.store("y", a.mul(a.normalised(), a.load("w")))
		}},
		{name: "NormAffine", doc: "y = (x - mean)*rstd * w + b", slices: fields("y x w b"), scalars: fields("mean rstd"), body: func(a *asm) {
			y := a.normalised()
			a.mulAdd(y, a.load("w"), a.load("b"))
			a.store("y", y)
		}},
		{name: "NormGradSums", doc: "the sums of g and g*n, g = dy*w and n = (x - mean)*rstd", slices: fields("dy x w"), scalars: fields("mean rstd"),
			results: 2, names: "sumG, sumGN", body: func(a *asm) {
				g := a.mul(a.load("dy"), a.load("w"))
				a.reduceSum(0, g)
				a.reduceProduct(1, g, a.normalised())
			}},
		{name: "NormGrad", doc: "dx = rstd*(dy*w - a - n*b) and dw += dy*n, n = (x - mean)*rstd", slices: fields("dx dw dy x w"),
			scalars: fields("mean rstd a b"), body: func(a *asm) {
				n, dy, dw := a.normalised(), a.load("dy"), a.load("dw")
				a.addMul(dw, dy, n)
				a.store("dw", dw)
				a.normGradInput(n, dy)
			}},
		{name: "NormGradInput", doc: "dx = rstd*(dy*w - a - n*b), n = (x - mean)*rstd", slices: fields("dx dy x w"),
			scalars: fields("mean rstd a b"), body: func(a *asm) {
				a.normGradInput(a.normalised(), a.load("dy"))
			}},
	}
}

func activations() []kernel {
	return []kernel{
		{name: "Sigmoid", doc: "dst = sigmoid(x)", slices: fields("dst x"), body: func(a *asm) {
			a.store("dst", a.sigmoid(a.load("x")))
		}},
		{name: "SigmoidGrad", doc: "dx = dy * y*(1-y)", slices: fields("dx dy y"), unroll: 2, body: func(a *asm) {
			y := a.load("y")
			a.store("dx", a.mul(a.mul(a.load("dy"), y), a.sub(a.r(1), y)))
		}},
		{name: "Tanh", doc: "dst = tanh(x)", slices: fields("dst x"), body: func(a *asm) {
			a.store("dst", a.tanh(a.load("x")))
		}},
		{name: "TanhGrad", doc: "dx = dy * (1 - y²)", slices: fields("dx dy y"), unroll: 2, body: func(a *asm) {
			y, s := a.load("y"), a.copy(a.r(1))
			a.subMul(s, y, y)
			a.store("dx", a.mul(a.load("dy"), s))
		}},
		{name: "ReLU", doc: "dst = max(x, 0)", slices: fields("dst x"), unroll: 2, body: func(a *asm) {
			a.store("dst", a.clampBelow(a.load("x"), 0))
		}},
		{name: "ReLUGrad", doc: "dx = dy where x > 0, else 0", slices: fields("dx dy x"), unroll: 2, body: func(a *asm) {
			a.store("dx", a.keepIfPositive(a.load("x"), a.load("dy")))
		}},
		{name: "SiLU", doc: "dst = x * sigmoid(x)", slices: fields("dst x"), body: func(a *asm) {
			x := a.load("x")
			a.store("dst", a.div(x, a.add(a.exp(a.neg(x)), a.c(1))))
		}},
		{name: "SiLUGrad", doc: "dx = dy * s*(1 + x*(1-s)), s = sigmoid(x)", slices: fields("dx dy x"), body: func(a *asm) {
			x := a.load("x")
			_, slope := a.siluSlope(x)
			a.store("dx", a.mul(slope, a.load("dy")))
		}},
		{name: "SwiGLU", doc: "dst = gate*sigmoid(gate) * up", slices: fields("dst gate up"), body: func(a *asm) {
			x := a.load("gate")
			a.store("dst", a.mul(a.div(x, a.add(a.exp(a.neg(x)), a.c(1))), a.load("up")))
		}},
		{name: "SwiGLUGrad", doc: "dgate = dy*up * s*(1 + gate*(1-s)) and dup = dy * gate*s, s = sigmoid(gate)", slices: fields("dgate dup dy gate up"), body: func(a *asm) {
			x, up := a.load("gate"), a.load("up")
			s, slope := a.siluSlope(x)
			dy := a.load("dy")
			a.store("dgate", a.mul(a.mul(dy, up), slope))
			a.store("dup", a.mul(a.mul(dy, x), s))
		}},
		{name: "GELU", doc: "dst = x * Phi(x)", slices: fields("dst x"), body: func(a *asm) {
			// x Phi(x) = max(x, 0) - |x| Phi(-|x|) has no cancellation on either side. |x| is clamped where its
			// product with the tail is 0, so that +Inf stays +Inf.
			x := a.load("x")
			tail, _ := a.normalTail(x)
			y := a.clampBelow(x, 0)
			a.subMul(y, a.clampAbove(a.abs(x), 16), tail)
			a.store("dst", y)
		}},
		{name: "GELUGrad", doc: "dx = dy * (Phi(x) + x*phi(x))", slices: fields("dx dy x"), body: func(a *asm) {
			x := a.load("x")
			tail, density := a.normalTail(x)
			phi := a.ifNegative(x, tail, a.sub(a.r(1), tail))
			a.addMul(phi, a.mul(x, density), a.c(0.3989422804014327))
			a.store("dx", a.mul(phi, a.load("dy")))
		}},
		{name: "GELUTanh", doc: "dst = x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x³)", slices: fields("dst x"), body: func(a *asm) {
			x := a.load("x")
			gate, _ := a.tanhGate(a.clampAbove(a.clampBelow(x, -tanhGateLimit), tanhGateLimit))
			a.store("dst", a.mul(gate, x))
		}},
		{name: "GELUTanhGrad", doc: "dx = dy * (s + x*s*(1-s)*2u'), s = sigmoid(2u)", slices: fields("dx dy x"), body: func(a *asm) {
			const root = 2 * 0.7978845608028654
			x := a.clampAbove(a.clampBelow(a.load("x"), -tanhGateLimit), tanhGateLimit)
			s, x2 := a.tanhGate(x)
			slope := a.copy(a.r(root))
			a.addMul(slope, x2, a.c(3*root*0.044715))
			slope = a.mul(a.mul(slope, x), s)
			t := a.sub(a.r(1), s)
			a.mulAdd(t, slope, s)
			a.store("dx", a.mul(t, a.load("dy")))
		}},
	}
}

var rotate = kernel{name: "Rotate", doc: "x1 = x1*cos - x2*sign*sin and x2 = x2*cos + x1*sign*sin", slices: fields("x1 x2 cos sin"), scalars: fields("sign"),
	body: func(a *asm) {
		x1, x2, cos := a.load("x1"), a.load("x2"), a.load("cos")
		sin := a.mul(a.load("sin"), a.scalar("sign"))
		y1, y2 := a.mul(x1, cos), a.mul(x2, cos)
		a.subMul(y1, x2, sin)
		a.addMul(y2, x1, sin)
		a.store("x1", y1)
		a.store("x2", y2)
	}}

var adamW = kernel{name: "AdamW", doc: "one AdamW update, see AdamWStep", slices: fields("w m v grad"),
	narrow: true, scalars: fields("gradScale decay oneMinusBeta1 beta2 oneMinusBeta2 rootScale eps step"),
	body: func(a *asm) {
		g := a.mul(a.load("grad"), a.scalar("gradScale"))
		m := a.load("m")
		a.addMul(m, a.sub(g, m), a.scalar("oneMinusBeta1"))
		a.store("m", m)
		v := a.mul(a.load("v"), a.scalar("beta2"))
		a.addMul(v, a.mul(g, g), a.scalar("oneMinusBeta2"))
		a.store("v", v)
		d := a.sqrt(v)
		a.mulAdd(d, a.scalar("rootScale"), a.scalar("eps"))
		w := a.mul(a.load("w"), a.scalar("decay"))
		a.subMul(w, a.div(m, d), a.scalar("step"))
		a.store("w", w)
	}}
