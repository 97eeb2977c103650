package main

import (
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// clearSums allocates the partial results and sets them to the neutral element.
func (a *asm) clearSums(unroll int) {
	for range a.results {
		var row []reg.VecVirtual
		n := unroll
		if a.reduce == sum64 {
			n *= 2
		}
		for range n {
			v := a.vector()
			switch {
			case a.reduce == maxima:
				usedConstants[a.suffix][negativeInf] = true
				a.VBROADCASTSS(a.constantRow(negativeInf), v)
			case a.wide:
				a.VPXORD(v, v, v)
			default:
				a.VXORPS(v, v, v)
			}
			row = append(row, v)
		}
		a.sums = append(a.sums, row)
	}
}

const negativeInf = 0xff800000

// reduceProduct adds x*c to result i. Lanes past the end have to be 0 in x or c.
func (a *asm) reduceProduct(i int, x reg.VecVirtual, c op.Op) { a.addMul(a.sums[i][a.unit], x, c) }

// reduceSum adds v to result i, leaving out lanes past the end.
func (a *asm) reduceSum(i int, v reg.VecVirtual) {
	s, mask := a.sums[i][a.unit], a.mask
	switch {
	case !a.masked:
		a.do(func() { a.VADDPS(v, s, s) })
	case a.wide:
		a.do(func() { a.VADDPS(v, s, mask, s) })
	default:
		w := a.vector()
		a.do(func() { a.VANDPS(v, mask, w) })
		a.do(func() { a.VADDPS(w, s, s) })
	}
}

// reduceMax folds v into the maximum, leaving out NaN and lanes past the end.
func (a *asm) reduceMax(v reg.VecVirtual) {
	s, mask := a.sums[0][a.unit], a.mask
	switch {
	case !a.masked:
		a.do(func() { a.VMAXPS(s, v, s) })
	case a.wide:
		a.do(func() { a.VMAXPS(s, v, mask, s) })
	default:
		w := a.vector()
		a.do(func() { a.VBLENDVPS(mask, v, s, w) })
		a.do(func() { a.VMAXPS(s, w, s) })
	}
}

// zeroPastEnd clears the lanes past the end.
func (a *asm) zeroPastEnd(v reg.VecVirtual) reg.VecVirtual {
	mask := a.mask
	switch {
	case !a.masked:
		return v
	case a.wide:
		return a.fresh(func(d reg.VecVirtual) { a.VMOVAPS_Z(v, mask, d) })
	}
	return a.fresh(func(d reg.VecVirtual) { a.VANDPS(v, mask, d) })
}

// reduceSquares64 adds the squares of v to the float64 result: the low half of the lanes to one accumulator, the high half
// to the next.
func (a *asm) reduceSquares64(v reg.VecVirtual) {
	low, high := a.sums[0][2*a.unit], a.sums[0][2*a.unit+1]
	l, h := a.vector(), a.vector()
	if a.wide {
		a.do(func() { a.VCVTPS2PD(v.AsY(), l) })
		a.do(func() { a.VEXTRACTF64X4(op.U8(1), v, h.AsY()) })
		a.do(func() { a.VCVTPS2PD(h.AsY(), h) })
	} else {
		a.do(func() { a.VCVTPS2PD(v.AsX(), l) })
		a.do(func() { a.VEXTRACTF128(op.U8(1), v, h.AsX()) })
		a.do(func() { a.VCVTPS2PD(h.AsX(), h) })
	}
	a.do(func() { a.VFMADD231PD(l, l, low) })
	a.do(func() { a.VFMADD231PD(h, h, high) })
}

// finish combines the partial results by halving: lane i with lane i + half, until one is left.
func (a *asm) finish(unroll int) {
	for i, row := range a.sums {
		for len(row) > 1 {
			half := len(row) / 2
			for j := range half {
				a.combine(row[j+half], row[j], row[j])
			}
			row = row[:half]
		}
		v := row[0]
		upper := a.vector()
		if a.wide {
			a.VEXTRACTF64X4(op.U8(1), v, upper.AsY())
			a.combine(upper.AsY(), v.AsY(), v.AsY())
		}
		a.VEXTRACTF128(op.U8(1), v.AsY(), upper.AsX())
		a.combine(upper.AsX(), v.AsX(), v.AsX())
		a.VPERMILPD(op.U8(1), v.AsX(), upper.AsX())
		a.combine(upper.AsX(), v.AsX(), v.AsX())
		result, err := a.ReturnIndex(i).Resolve()
		check(err)
		if a.reduce == sum64 {
			a.VMOVSD(v.AsX(), result.Addr)
			continue
		}
		a.VPERMILPS(op.U8(1), v.AsX(), upper.AsX())
		a.combine(upper.AsX(), v.AsX(), v.AsX())
		a.VMOVSS(v.AsX(), result.Addr)
	}
}

func (a *asm) combine(x, y, dst op.Op) {
	switch a.reduce {
	case sum:
		a.VADDPS(x, y, dst)
	case sum64:
		a.VADDPD(x, y, dst)
	case maxima:
		a.VMAXPS(x, y, dst)
	}
}
