package kernel

// SwiGLU computes dst = silu(gate) * up, silu(x) = x*sigmoid(x) (Shazeer, "GLU Variants Improve Transformer", 2020,
// equation 5, without its matrices). dst may be gate or up.
func SwiGLU[T Float](dst, gate, up []T) {
	n := len(dst)
	gate, up = gate[:n:len(gate)], up[:n:len(up)]
	if isFloat32[T]() {
		vecSwiGLU(f32(dst), f32(gate), f32(up))
		return
	}
	goSwiGLU(dst, gate, up)
}

func goSwiGLU[T Float](dst, gate, up []T) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i, v := range gate {
		dst[i] = v * sigmoid(v) * up[i]
	}
}

// SwiGLUGrad is the backward pass of SwiGLU: with s = sigmoid(gate),
//
//	dgate = dy * up * s*(1 + gate*(1-s)),  dup = dy * gate*s.
//
// dgate may be gate and dup may be up; dy is left untouched.
func SwiGLUGrad[T Float](dgate, dup, dy, gate, up []T) {
	n := len(dgate)
	dup, dy, gate, up = dup[:n:len(dup)], dy[:n:len(dy)], gate[:n:len(gate)], up[:n:len(up)]
	if isFloat32[T]() {
		vecSwiGLUGrad(f32(dgate), f32(dup), f32(dy), f32(gate), f32(up))
		return
	}
	goSwiGLUGrad(dgate, dup, dy, gate, up)
}

func goSwiGLUGrad[T Float](dgate, dup, dy, gate, up []T) {
	n := len(dgate)
	dup, dy, gate, up = dup[:n], dy[:n], gate[:n], up[:n]
	for i := range dgate {
		a, b, d := gate[i], up[i], dy[i]
		s := sigmoid(a)
		dgate[i] = d * b * s * (1 + a*(1-s))
		dup[i] = d * a * s
	}
}
