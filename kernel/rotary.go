package kernel

// Rotate turns each pair (x1[i], x2[i]) in place by the angle whose cosine and sine are cos[i], sin[i] (rotary position
// embedding; x1 and x2 are the two halves of a head):
//
//	x1' = x1*cos - x2*sin,  x2' = x2*cos + x1*sin.
//
// inverse turns the other way, which is the gradient of the turn.
func Rotate[T Float](x1, x2, cos, sin []T, inverse bool) {
	n := len(x1)
	x2, cos, sin = x2[:n:len(x2)], cos[:n:len(cos)], sin[:n:len(sin)]
	sign := T(1)
	if inverse {
		sign = -1
	}
	if isFloat32[T]() {
		vecRotate(f32(x1), f32(x2), f32(cos), f32(sin), float32(sign))
		return
	}
	goRotate(x1, x2, cos, sin, sign)
}

func goRotate[T Float](x1, x2, cos, sin []T, sign T) {
	n := len(x1)
	x2, cos, sin = x2[:n], cos[:n], sin[:n]
	for i, a := range x1 {
		b, c, s := x2[i], cos[i], sign*sin[i]
		x1[i] = a*c - b*s
		x2[i] = b*c + a*s
	}
}
