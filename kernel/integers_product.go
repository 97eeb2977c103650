package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// integerArgs is what a kernel of integer products works on: a column of tiles of rows, one under the other, by a panel of W or
// its half. Strides are in bytes. The assembly reads this struct by offset and counts tiles down.
type integerArgs struct {
	codes, scales, x, c, bias unsafe.Pointer
	ldx, ldc                  uintptr
	pieces, pairs             int
	rows, tiles               int
	shift                     uintptr
}

// integerThreads is the number of multiply-adds from which threads share a product, unless its weights are that many bytes.
const integerThreads, integerThreadsBytes = 1 << 19, 1 << 16

// integerChunk is how many bytes of activations a task takes: they stay in the second-level cache while panels go by.
const integerChunk = 256 << 10

// integerOp is a product under way, recycled so that it allocates nothing.
type integerOp struct {
	w              *Integers
	level          integerLevel
	m, lda, ldc    int
	a, c           unsafe.Pointer
	bias           []float32
	rows           buffer // the activations in 8 bits
	threads        int
	rowTasks       int
	colTasks       int
	roundTask, run func(int)
}

// integerBench is the workspace of a task.
type integerBench struct {
	args integerArgs
	c    buffer // an edge of C, widened to a panel
	bias buffer // of a panel
}

var (
	integerOps     freeList[integerOp]
	integerBenches freeList[integerBench]
)

// roundRows is how many rows of activations a task rounds.
const roundRows = 8

// GemmIntegers computes C = A Wᵀ + bias over the pool, with A [m, In] rounded to 8 bits in pieces, each with a scale of its own, and
// products and sums of integers inside a piece:
//
//	c = bias + sum over pieces of (integer sum * scale of A's piece) * scale of W's piece
//
// Integer sums are exact, and those of float32 have one order, with each operation rounded: the result has the same bits on any
// instruction set, for any number of threads, and for any rows that share the product. With a and w the largest
// magnitudes of a piece of n, it is off from that of A and W's values by at most n a w / 254 a piece, and rounding.
//
// bias [Out] is nil where there is none. C [m, Out] is never read and must not overlap A. A row of A with a number that is not finite
// gives a row of none. Sizes that do not fit panic.
func GemmIntegers(m int, a []float32, lda int, w *Integers, bias []float32, c []float32, ldc int) {
	if m < 0 {
		panic(fmt.Sprintf("kernel: gemm: got size m=%d, want none negative", m))
	}
	if bias != nil && len(bias) != w.Out {
		panic(fmt.Sprintf("kernel: gemm: got a bias of %d elements, want %d", len(bias), w.Out))
	}
	checkMatrix("a", m, w.In, len(a), lda)
	checkMatrix("c", m, w.Out, len(c), ldc)
	if m == 0 || w.Out == 0 {
		return
	}
	if w.In == 0 {
		for i := range m {
			clear(c[i*ldc : i*ldc+w.Out])
			copy(c[i*ldc:], bias)
		}
		return
	}
	op := integerOps.get()
	if op == nil {
		op = new(integerOp)
		op.roundTask, op.run = op.round, op.product
	}
	op.w, op.level, op.m, op.lda, op.ldc, op.bias = w, integersOf(isa), m, lda, ldc, bias
	op.a, op.c = unsafe.Pointer(unsafe.SliceData(a)), unsafe.Pointer(unsafe.SliceData(c))
	op.multiply()
	op.w, op.a, op.c, op.bias = nil, nil, nil, nil
	integerOps.put(op)
}

func (op *integerOp) multiply() {
	w := op.w
	op.threads = 1
	if op.m*w.Out*w.In >= integerThreads || len(w.codes) >= integerThreadsBytes {
		op.threads = Threads()
	}
	op.rows.bytes(op.m * w.rowBytes()) // grow before the threads share it
	op.each((op.m+roundRows-1)/roundRows, op.m*w.In >= threadedThin, op.roundTask)
	chunk := max(integerChunk/w.rowBytes(), 4*op.level.tileRows())
	op.rowTasks, op.colTasks = (op.m+chunk-1)/chunk, 1
	if want := op.threads * tasksPerThread; op.threads > 1 && op.rowTasks < want {
		op.colTasks = min(w.panels(), (want+op.rowTasks-1)/op.rowTasks)
	}
	op.each(op.rowTasks*op.colTasks, op.threads > 1, op.run)
}

// each runs tasks over the pool, or here.
func (op *integerOp) each(n int, shared bool, f func(int)) {
	if shared {
		Parallel(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}

// round rounds some rows of activations.
func (op *integerOp) round(task int) {
	w, size := op.w, op.w.rowBytes()
	rows := op.rows.bytes(op.m * size)
	for i := task * roundRows; i < min(op.m, (task+1)*roundRows); i++ {
		x := unsafe.Slice((*float32)(unsafe.Add(op.a, 4*i*op.lda)), w.In)
		w.roundRow(unsafe.Slice((*byte)(unsafe.Add(rows, i*size)), size), x)
	}
}

// product computes some rows of some panels of C.
func (op *integerOp) product(task int) {
	w, size := op.w, op.w.rowBytes()
	i0, i1 := share(op.m, op.rowTasks, task%op.rowTasks)
	p0, p1 := share(w.panels(), op.colTasks, task/op.rowTasks)
	bench := integerBenches.get()
	if bench == nil {
		bench = new(integerBench)
	}
	bias := bench.bias.bytes(4 * panelRows)
	padded := unsafe.Slice((*float32)(bias), panelRows)
	clear(padded)
	rows, high := i1-i0, op.level.tileRows()
	tiles := (rows + high - 1) / high
	short, tall := rows/tiles, rows%tiles // tall tiles have one row more
	args := &bench.args
	args.ldx, args.pieces, args.pairs = uintptr(size), w.pieces, w.pairs
	x := unsafe.Add(op.rows.bytes(op.m*size), i0*size)
	for p := p0; p < p1; p++ {
		columns := min(panelRows, w.Out-p*panelRows)
		c, ldc := unsafe.Add(op.c, 4*(i0*op.ldc+p*panelRows)), uintptr(4*op.ldc)
		args.c, args.ldc, args.bias = c, ldc, bias
		if columns < panelRows { // kernels write whole panels
			args.ldc = 4 * panelRows
			args.c = bench.c.bytes(rows * 4 * panelRows)
		}
		if op.bias != nil {
			copy(padded, op.bias[p*panelRows:p*panelRows+columns])
		}
		args.codes, args.scales = unsafe.Pointer(&w.codes[p*w.panelBytes()]), unsafe.Pointer(&w.scales[p*w.pieces*panelRows])
		start := args.c
		if tall > 0 {
			args.x, args.rows, args.tiles = x, short+1, tall
			integerProduct(op.level, w.bits, args)
		}
		if tall < tiles {
			done := tall * (short + 1)
			args.x, args.c = unsafe.Add(x, done*size), unsafe.Add(start, uintptr(done)*args.ldc)
			args.rows, args.tiles = short, tiles-tall
			integerProduct(op.level, w.bits, args)
		}
		if columns < panelRows {
			copyStripGo(c, start, ldc, args.ldc, rows, 4*columns)
		}
	}
	*args = integerArgs{}
	integerBenches.put(bench)
}

// integerLevel orders the instruction sets of integer products.
type integerLevel int

const (
	integersGo         integerLevel = iota
	integersAVX2                    // VPMADDUBSW
	integersAVXVNNI                 // VPDPBUSD of 256 bits
	integersAVX512VNNI              // VPDPBUSD of 512 bits
)

func (l integerLevel) String() string {
	return [...]string{integersGo: "go", integersAVX2: "avx2", integersAVXVNNI: "avx-vnni", integersAVX512VNNI: "avx512-vnni"}[l]
}

// tileRows is the height of the level's largest tile.
func (l integerLevel) tileRows() int {
	return [...]int{integersGo: 8, integersAVX2: 4, integersAVXVNNI: 6, integersAVX512VNNI: 6}[l]
}

// IntegerISA names the instructions that integer products run on: "avx512-vnni", "avx-vnni", "avx2" or "go".
func IntegerISA() string { return integersOf(isa).String() }

// integerProductGo is the kernel in Go.
func integerProductGo(bits int, args *integerArgs) {
	group := 16 * bits
	codes := unsafe.Slice((*uint8)(args.codes), args.pieces*args.pairs*2*group)
	scales := unsafe.Slice((*float32)(args.scales), args.pieces*panelRows)
	bias := (*[panelRows]float32)(args.bias)
	length := 8 + 8*args.pairs
	for i := range args.rows * args.tiles {
		x := unsafe.Slice((*byte)(unsafe.Add(args.x, uintptr(i)*args.ldx)), args.pieces*length)
		c := (*[panelRows]float32)(unsafe.Add(args.c, uintptr(i)*args.ldc))
		*c = *bias
		for s := range args.pieces {
			piece := x[s*length : (s+1)*length]
			var sums [panelRows]int32
			start := int32(binary.LittleEndian.Uint32(piece))
			for j := range sums {
				sums[j] = start
			}
			for g := range 2 * args.pairs {
				addGroup(&sums, codes[(s*args.pairs*2+g)*group:][:group], piece[4+4*g:8+4*g], bits)
			}
			scale := math.Float32frombits(binary.LittleEndian.Uint32(piece[length-4:]))
			for j := range sums {
				v := float32(sums[j]) * scale
				v = float32(v * scales[s*panelRows+j])
				c[j] = float32(c[j] + v)
			}
		}
	}
}

// addGroup adds the products of four activations with those columns of a panel.
func addGroup(sums *[panelRows]int32, codes, x []byte, bits int) {
	x0, x1, x2, x3 := int32(int8(x[0])), int32(int8(x[1])), int32(int8(x[2])), int32(int8(x[3]))
	if bits == 8 {
		for j := range sums {
			w := codes[4*j : 4*j+4]
			sums[j] += x0*int32(w[0]) + x1*int32(w[1]) + x2*int32(w[2]) + x3*int32(w[3])
		}
		return
	}
	for j := range panelRows / 2 {
		w := codes[4*j : 4*j+4]
		sums[j] += x0*int32(w[0]&15) + x1*int32(w[1]&15) + x2*int32(w[2]&15) + x3*int32(w[3]&15)
		sums[j+16] += x0*int32(w[0]>>4) + x1*int32(w[1]>>4) + x2*int32(w[2]>>4) + x3*int32(w[3]>>4)
	}
}
