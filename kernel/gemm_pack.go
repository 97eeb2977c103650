package kernel

import "unsafe"

// panel returns the place of B's panel p for the k block that starts at k (relative to k0) and
// is kc long: blocks one after the other, in each the panels.
func (op *gemmOp) panel(p, k, kc int) unsafe.Pointer {
	panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
	return unsafe.Add(op.packed.bytes(0), uintptr((panels*op.depth(k)+p*op.depth(kc))*op.nr)*op.elem)
}

// packsByRows tells whether packing reads B row by row, for all panels at once, and not panel by
// panel: rows are long enough to be read as streams, whereas the pieces of a panel each miss the
// cache.
func (op *gemmOp) packsByRows(panels int) bool { return !op.transB && panels >= rowPanels }

// packRow packs the rows of one task, which may belong to two k blocks.
func (op *gemmOp) packRow(task int) {
	k := op.k0 + task*packRowsTask
	end := min(k+packRowsTask, op.k1)
	whole := (op.j1 - op.j0) / op.nr
	last := (op.j1 - op.j0) % op.nr
	width := uintptr(op.nr) * op.elem
	for k < end {
		block := op.k0 + (k-op.k0)/op.kc*op.kc
		kc := min(op.kc, op.k1-block)
		rows := min(end, block+kc) - k
		at := uintptr(op.depth(k-block)) * width
		panelSize := uintptr(op.depth(kc)) * width
		src := unsafe.Add(op.b, uintptr(k)*op.ldb+uintptr(op.j0)*op.elem)
		dst := unsafe.Add(op.panel(0, block-op.k0, kc), at)
		switch {
		case whole == 0:
		case op.pairs:
			pairColumns(dst, src, width, op.ldb, rows, op.nr, whole, panelSize, width)
		default:
			copyStrips(op.level, dst, src, panelSize, width, whole, int(width), rows, width, op.ldb)
			if op.reads == BFloat16 {
				for p := range whole {
					op.round(unsafe.Add(dst, uintptr(p)*panelSize), rows*op.nr)
				}
			}
		}
		if last > 0 {
			op.packB(unsafe.Add(op.panel(whole, block-op.k0, kc), at), k, rows, op.j0+whole*op.nr, last)
		}
		k += rows
	}
}

// packPanel packs columns of B that make one panel, for all k of the pass: panel row k holds
// op(B)[k][j..j+nr), padded with zeros where B ends.
func (op *gemmOp) packPanel(p int) {
	j := op.j0 + p*op.nr
	cols := min(op.nr, op.j1-j)
	for k := op.k0; k < op.k1; k += op.kc {
		kc := min(op.kc, op.k1-k)
		op.packB(op.panel(p, k-op.k0, kc), k, kc, j, cols)
	}
}

func (op *gemmOp) packB(dst unsafe.Pointer, k, kc, j, cols int) {
	if op.pairs {
		op.packPairs(dst, k, kc, j, cols)
		return
	}
	width := uintptr(op.nr) * op.elem
	if cols < op.nr {
		clear(unsafe.Slice((*byte)(dst), uintptr(kc)*width))
	}
	switch {
	case op.few:
		op.packCodes(dst, k, kc, j, cols)
	case op.transB:
		src := unsafe.Add(op.b, uintptr(j)*op.ldb+uintptr(k)*op.elem)
		transposeStrip(op.level, op.double, dst, src, width, op.ldb, cols, kc)
	default:
		src := unsafe.Add(op.b, uintptr(k)*op.ldb+uintptr(j)*op.elem)
		copyStrips(op.level, dst, src, width, op.ldb, kc, cols*int(op.elem), 1, 0, 0)
	}
	if op.reads == BFloat16 {
		op.round(dst, kc*op.nr)
	}
}

// block is a piece of A as it lies in memory.
type block struct {
	at     unsafe.Pointer // nil: none
	stride uintptr        // from a row to the next
	rows   int
	width  int // bytes of a row
}

// nextBlock is the piece of A that this thread will probably read after the one of the task that
// ends at k: the next k block of the same rows, or the first of a later task's.
func (op *gemmOp) nextBlock(task, k int) block {
	if k >= op.k1 {
		if task += op.threads; task >= op.rowTasks*op.colTasks {
			return block{}
		}
		k = op.k0
	}
	i0, i1 := share(op.m, op.rowTasks, task%op.rowTasks)
	kc := min(op.kc, op.k1-k)
	if op.transA {
		return block{unsafe.Add(op.a, uintptr(k)*op.lda+uintptr(i0)*op.elem), op.lda, kc, (i1 - i0) * int(op.elem)}
	}
	return block{unsafe.Add(op.a, uintptr(i0)*op.lda+uintptr(k)*op.elem), op.lda, i1 - i0, kc * int(op.elem)}
}

// lines returns the n-th share of a block, with a stride: columns of two cache lines, of which the
// kernel fetches count; 0 behind the last.
func (b block) lines(n, count int) (at, stride uintptr) {
	const pair = 2 * cacheLine
	columns := (b.width + pair - 1) / pair
	if b.at == nil || n/columns*count >= b.rows {
		return 0, 0
	}
	return uintptr(b.at) + uintptr(n/columns*count)*b.stride + uintptr(n%columns*pair), b.stride
}

// placeA sets the strides of A for the tiles of a block, packing it where that pays, and returns
// its first element and the bytes from a tall and from a short tile to the next.
func (op *gemmOp) placeA(w *microBench, i0, tiles, short, tall, k, kc, panels int) (a unsafe.Pointer, tallSize, shortSize uintptr) {
	if op.pairs {
		return op.placePairs(w, i0, tiles, short, tall, k, kc)
	}
	rounds := op.reads == BFloat16
	args := &w.args
	rows := short*tiles + tall
	if !op.transA {
		a = unsafe.Add(op.a, uintptr(i0)*op.lda+uintptr(k)*op.elem)
		args.ars, args.acs = op.lda, op.elem
		if rounds || op.lda%conflictStride == 0 && short >= cacheWays && panels >= copyPanels {
			// The extra line spreads the rows of a tile over the sets of the cache.
			width := roundUp(kc*int(op.elem), cacheLine) + cacheLine
			dst := w.a.bytes(rows * width)
			copyStripGo(dst, a, uintptr(width), op.lda, rows, kc*int(op.elem))
			if rounds {
				op.round(dst, rows*width/int(op.elem))
			}
			a, args.ars = dst, uintptr(width)
		}
		return a, uintptr(short+1) * args.ars, uintptr(short) * args.ars
	}
	a = unsafe.Add(op.a, uintptr(k)*op.lda+uintptr(i0)*op.elem)
	args.ars, args.acs = op.elem, op.lda
	if panels < transposePanels && !rounds {
		return a, uintptr(short+1) * op.elem, uintptr(short) * op.elem
	}
	// Tiles one after the other, in each the rows of Aᵀ; one column stride serves both heights. They
	// are filled together, row by row of Aᵀ, which is read as a stream.
	tallWidth, shortWidth := uintptr(short+1)*op.elem, uintptr(short)*op.elem
	args.acs = shortWidth
	if tall > 0 {
		args.acs = tallWidth
	}
	tile := uintptr(kc)*args.acs + packSlack
	dst := w.a.bytes(tiles * int(tile))
	copyStrips(op.level, dst, a, tile, tallWidth, tall, int(tallWidth), kc, args.acs, op.lda)
	copyStrips(op.level, unsafe.Add(dst, uintptr(tall)*tile), unsafe.Add(a, uintptr(tall)*tallWidth),
		tile, shortWidth, tiles-tall, int(shortWidth), kc, args.acs, op.lda)
	if rounds {
		op.round(dst, tiles*int(tile)/int(op.elem))
	}
	return dst, tile, tile
}

const (
	// conflictStride: rows that many bytes apart use the same set of the first-level cache, and a
	// tile of cacheWays or more of them does not fit it.
	conflictStride = 4096
	cacheWays      = 8
	// copyPanels and transposePanels are the numbers of panels of B from which it pays to copy rows
	// that conflict, and to pack a transposed A.
	copyPanels      = 3
	transposePanels = 6
	// packSlack is what copyStrips may write past its last row.
	packSlack = 32
	// rowPanels is the number of panels from which B is packed by rows, packRowsTask how many rows at
	// a time.
	rowPanels    = 8
	packRowsTask = 64
)
