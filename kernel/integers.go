package kernel

import (
	"fmt"
	"unsafe"
)

// Integers is a matrix W [Out, In] in 8 or 4 bits, laid out for products of integers: see [GemmIntegers]. A value is
//
//	w = code scale      code -127 to 127, or -7 to 7
//
// with a scale for each piece of a row. It is only read once it is made, so that goroutines may share it.
type Integers struct {
	Out, In int

	bits, piece, pieces int
	pairs               int // of groups of four codes: what a piece takes, rounded up
	// codes have for each panel of 32 rows of W, for each piece, for each group of four columns: of 8 bits the four codes + 128 of
	// each row, one row after the other; of 4 bits the codes + 8 of rows 0 to 15 in the lower halves of 64 bytes and those of rows
	// 16 to 31 in the upper ones. What fills up panels and pieces stands for 0.
	codes  []uint8
	scales []float32 // for each panel, for each piece, 32 of them
}

// panelRows is how many rows of W lie side by side: two vectors of 512 bits.
const panelRows = 32

// leastPiece is the shortest piece with a scale of its own that codes keep: below it products would mostly handle scales.
const leastPiece = 16

// IntegerBlock is how many weights share a scale where a float32 W with rows of that length is made [Integers]: 64, or else the
// largest divisor from 32 to 128, or a whole row.
func IntegerBlock(in int) int {
	if in%64 == 0 {
		return 64
	}
	for b := 128; b >= 32; b-- {
		if in%b == 0 {
			return b
		}
	}
	return max(in, 1)
}

// NewIntegers lays out W [out, in], of which q is the values, row-major. They stay as they are, up to one rounding of the scale, where a row
// is made of pieces of at least 16 that share a scale; else they are rounded again, to 8 bits in blocks of [IntegerBlock]. Without
// codes q is a plan, and what is returned has no memory. Sizes that do not fit panic.
func NewIntegers(q Quantized, out, in int) *Integers {
	if out < 0 || in < 0 || q.Elements != out*in {
		panic(fmt.Sprintf("kernel: integers: got %d elements, want %d x %d", q.Elements, out, in))
	}
	piece := commonDivisor(in, q.Block)
	if piece < min(in, leastPiece) {
		again := Quantized{Bits: 8, Block: IntegerBlock(in), Elements: q.Elements}
		if q.Codes != nil {
			w := make([]float32, q.Elements)
			Dequantize(w, q)
			again = NewQuantized(8, again.Block, q.Elements)
			again.Quantize(w)
		}
		q, piece = again, again.Block
	}
	w := &Integers{Out: out, In: in, bits: q.Bits, piece: max(piece, 1)}
	w.pieces, w.pairs = in/w.piece, (w.piece+7)/8
	if q.Codes != nil {
		w.lay(q)
	}
	return w
}

// Filled tells whether w has values: that it is no plan.
func (w *Integers) Filled() bool { return w.codes != nil || w.Out*w.In == 0 }

func (w *Integers) panels() int { return (w.Out + panelRows - 1) / panelRows }

// panelBytes is what the codes of a panel take.
func (w *Integers) panelBytes() int { return w.pieces * w.pairs * panelRows * w.bits }

// Bytes is what codes and scales take.
func (w *Integers) Bytes() int { return w.panels() * (w.panelBytes() + 4*panelRows*w.pieces) }

// lay writes codes and scales.
func (w *Integers) lay(q Quantized) {
	size := w.panels() * w.panelBytes()
	w.codes = unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(Large[int8](size+cacheLine)))), size+cacheLine)
	w.codes = w.codes[-uintptr(unsafe.Pointer(unsafe.SliceData(w.codes)))&(cacheLine-1):][:size:size] // a vector stays in its line
	w.scales = make([]float32, w.panels()*w.pieces*panelRows)
	zero := uint8(q.top() + 1)
	if w.bits == 4 {
		zero |= zero << 4
	}
	top := float64(q.top())
	Ranges(w.panels(), 1, func(first, last int) {
		for p := first; p < last; p++ {
			panel := w.codes[p*w.panelBytes() : (p+1)*w.panelBytes()]
			for i := range panel {
				panel[i] = zero
			}
			for row := p * panelRows; row < min(w.Out, (p+1)*panelRows); row++ {
				for s := range w.pieces {
					lo := row*w.In + s*w.piece
					w.scales[(p*w.pieces+s)*panelRows+row%panelRows] = float32(float64(q.AbsMax[lo/q.Block]) / top)
					for i := range w.piece {
						w.put(panel, row%panelRows, s, i, q.code(lo+i))
					}
				}
			}
		}
	})
}

// put writes the code of a row of a panel.
func (w *Integers) put(panel []uint8, row, piece, i int, code uint8) {
	at, shift := w.place(row, piece, i)
	if w.bits == 8 {
		panel[at] = code
		return
	}
	panel[at] = panel[at]&^(15<<shift) | code<<shift
}

// place is the byte of a panel that holds a code, and of 4 bits how far up there.
func (w *Integers) place(row, piece, i int) (at, shift int) {
	if w.bits == 4 {
		shift, row = row/16*4, row%16
	}
	group := piece*w.pairs*2 + i/4
	return group*16*w.bits + 4*row + i%4, shift
}

// number is what the code of a row of a panel stands for, in steps.
func (w *Integers) number(panel []uint8, row, piece, i int) int32 {
	at, shift := w.place(row, piece, i)
	if w.bits == 8 {
		return int32(panel[at]) - 128
	}
	return int32(panel[at]>>shift&15) - 8
}

// Row writes row i of W, whose values it rounds to float32.
func (w *Integers) Row(dst []float32, i int) {
	dst = dst[:w.In]
	p, row := i/panelRows, i%panelRows
	panel := w.codes[p*w.panelBytes() : (p+1)*w.panelBytes()]
	for s := range w.pieces {
		scale := w.scales[(p*w.pieces+s)*panelRows+row]
		for k := range w.piece {
			dst[s*w.piece+k] = float32(w.number(panel, row, s, k)) * scale
		}
	}
}

// rowBytes is what a row of activations takes: of each piece what integer sums start at, the codes, and the scale.
func (w *Integers) rowBytes() int { return w.pieces * (8 + 8*w.pairs) }

// zero is what codes as they are laid out are above the numbers they stand for.
func (w *Integers) zero() int { return 1 << (w.bits - 1) }

// commonDivisor is the greatest one.
func commonDivisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
