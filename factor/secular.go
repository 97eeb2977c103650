package factor

import "math"

// epsilon is the spacing of float64 at 1.
const epsilon = 0x1p-52

// secularRoot finds root i of f(x) = 1/rho + sum_j z_j² / (d_j - x) for rho > 0 and ascending, distinct d: the one
// between d_i and d_(i+1), or for the last i the one beyond d_i. It writes d_j - root to delta, each with nearly full
// relative accuracy, because the root is found as a distance from its nearest pole, and returns the root.
//
// The step fits c + q/(d_i - x) + s/(d_(i+1) - x) to value and slope of the two halves of the sum (Bunch, Nielsen and
// Sorensen 1978, as in LAPACK's dlaed4); a step that leaves the bracket is replaced by bisection.
func secularRoot(d, z []float64, rho float64, i int, delta []float64) float64 {
	k := len(d)
	delta = delta[:k]
	if k == 1 {
		shift := rho * z[0] * z[0]
		delta[0] = -shift
		return d[0] + shift
	}
	left := i // the pole on the left of the two that the step models
	origin := d[i]
	var lo, hi float64 // the bracket, as distances from origin
	if i < k-1 {
		gap := d[i+1] - d[i]
		half := gap / 2
		sum := 1 / rho
		for j, dj := range d {
			sum += z[j] * z[j] / ((dj - d[i]) - half)
		}
		if sum >= 0 {
			lo, hi = 0, half
		} else {
			origin = d[i+1]
			lo, hi = -half, 0
		}
	} else {
		left = k - 2
		norm := 0.0
		for _, v := range z {
			norm += v * v
		}
		lo, hi = 0, rho*norm*(1+4*epsilon)
	}
	for j, dj := range d {
		delta[j] = dj - origin
	}
	x := secularStart(delta, z, rho, left, i, lo, hi)
	const steps = 100 // a handful in practice; bisection alone would end by then
	for range steps {
		psi, dpsi := secularSum(delta[:left+1], z, x)
		phi, dphi := secularSum(delta[left+1:], z[left+1:], x)
		f := 1/rho + psi + phi
		if f > 0 {
			hi = x
		} else {
			lo = x
		}
		slope := dpsi + dphi
		noise := 8*(math.Abs(psi)+math.Abs(phi)+1/rho) + math.Abs(x)*slope
		if math.Abs(f) <= epsilon*noise {
			break
		}
		next := secularStep(f, dpsi, dphi, delta[left]-x, delta[left+1]-x, x, lo, hi)
		if next == x {
			break
		}
		x = next
	}
	for j := range delta {
		delta[j] -= x
	}
	return origin + x
}

// secularSum returns sum z_j²/(delta_j - x) and its derivative.
func secularSum(delta, z []float64, x float64) (value, slope float64) {
	z = z[:len(delta)]
	for j, dj := range delta {
		t := z[j] / (dj - x)
		value += z[j] * t
		slope += t * t
	}
	return value, slope
}

// secularStart solves the equation with the two nearest poles exact and the others at the bracket's middle.
func secularStart(delta, z []float64, rho float64, left, i int, lo, hi float64) float64 {
	middle := lo + (hi-lo)/2
	c := 1 / rho
	for j, dj := range delta {
		if j != left && j != left+1 {
			c += z[j] * z[j] / (dj - middle)
		}
	}
	za, zb := z[left]*z[left], z[left+1]*z[left+1]
	da, db := delta[left], delta[left+1]
	// c (da-x)(db-x) + za (db-x) + zb (da-x) = 0
	if x, ok := rootWithin(c, c*(da+db)+za+zb, c*da*db+za*db+zb*da, 0, lo, hi); ok {
		return x
	}
	return middle
}

// secularStep returns the next iterate within (lo, hi).
func secularStep(f, dpsi, dphi, left, right, x, lo, hi float64) float64 {
	c := f - left*dpsi - right*dphi
	a := (left+right)*f - left*right*(dpsi+dphi)
	b := left * right * f
	if next, ok := rootWithin(c, a, b, x, lo, hi); ok {
		return next
	}
	if next := x - f/(dpsi+dphi); next > lo && next < hi {
		return next
	}
	return lo + (hi-lo)/2
}

// rootWithin solves c y² - a y + b = 0 and returns the x+y that lies strictly between lo and hi, if one does.
func rootWithin(c, a, b, x, lo, hi float64) (float64, bool) {
	square := a*a - 4*b*c
	if !(square >= 0) {
		square = 0
	}
	sum := a + math.Copysign(math.Sqrt(square), a) // no cancellation
	small := x + 2*b/sum
	if small > lo && small < hi {
		return small, true
	}
	large := x + sum/(2*c)
	return large, large > lo && large < hi
}
