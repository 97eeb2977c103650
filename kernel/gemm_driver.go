package kernel

import "unsafe"

const (
	// passBytes is about how much of B is packed at once, in whole k blocks: it should still be in
	// a cache when it is used.
	passBytes = 2 << 20
	// packedBytes bounds it for a very wide B, which is then packed by columns, too.
	packedBytes = 8 << 20
	// tasksPerThread is how finely C is cut, so that a thread that loses its core for a while
	// leaves its share to the others.
	tasksPerThread = 4
	// minTaskRows keeps enough rows in a task to pay for reading B.
	minTaskRows = 48
)

// multiply runs the product; m, n and k are at least 1.
//
// The loops are those of BLIS with two changes: B is packed for as many k blocks as fit, so that
// threads meet only twice a pass, and A is read in place unless its stride or transposition makes
// that slow.
func (op *gemmOp) multiply() {
	op.level = isa
	op.blocking = blockingOf(op.level, op.double)
	if op.planThin() {
		op.runTasks(op.thin.tasks, op.thin.run)
		return
	}
	if narrow := blockingOf(isaAVX2, op.double); op.level == isaAVX512 && op.n <= narrow.nr {
		op.level, op.blocking = isaAVX2, narrow // a tile of AVX-512 would be half empty
	}
	blocks := (op.k + kBlock - 1) / kBlock
	op.kc = roundUp((op.k+blocks-1)/blocks, 8)
	for op.k0 = 0; op.k0 < op.k; op.k0 = op.k1 {
		op.k1 = min(op.k, op.k0+max(passBytes/(int(op.elem)*op.n*op.kc), 1)*op.kc)
		nc := max(packedBytes/(int(op.elem)*(op.k1-op.k0))/op.nr, 4) * op.nr
		for op.j0 = 0; op.j0 < op.n; op.j0 = op.j1 {
			op.j1 = min(op.n, op.j0+nc)
			panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
			if op.packsB() {
				op.packed.bytes(panels * op.nr * (op.k1 - op.k0) * int(op.elem)) // grow before the threads share it
				op.runTasks(panels, op.pack)
			}
			op.planTasks(panels)
			op.runTasks(op.rowTasks*op.colTasks, op.tile)
		}
	}
}

// packsB tells whether B is copied to panels. A B whose rows run along the tile is read in place
// when no second row of tiles would use the copy.
func (op *gemmOp) packsB() bool { return op.transB || op.m > op.mr }

// runTasks runs the tasks over the pool, or here.
func (op *gemmOp) runTasks(n int, f func(int)) {
	if op.threads > 1 {
		Parallel(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}

// planTasks cuts C into rowTasks by colTasks pieces.
func (op *gemmOp) planTasks(panels int) {
	op.rowTasks = (op.m + op.mc - 1) / op.mc
	op.colTasks = 1
	if op.threads == 1 {
		return
	}
	want := op.threads * tasksPerThread
	op.rowTasks = max(op.rowTasks, min(want, op.m/minTaskRows))
	if op.rowTasks < want {
		op.colTasks = min(panels, (want+op.rowTasks-1)/op.rowTasks)
	}
}

// share returns the i-th of parts nearly equal ranges of [0, n).
func share(n, parts, i int) (lo, hi int) { return n * i / parts, n * (i + 1) / parts }

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// panel returns the place of B's panel p for the k block that starts at k (relative to k0) and
// is kc long: blocks one after the other, in each the panels.
func (op *gemmOp) panel(p, k, kc int) unsafe.Pointer {
	panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
	return unsafe.Add(op.packed.bytes(0), uintptr((panels*k+p*kc)*op.nr)*op.elem)
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
	width := uintptr(op.nr) * op.elem
	if cols < op.nr {
		clear(unsafe.Slice((*byte)(dst), uintptr(kc)*width))
	}
	if op.transB {
		src := unsafe.Add(op.b, uintptr(j)*op.ldb+uintptr(k)*op.elem)
		transposeStrip(op.level, op.double, dst, src, width, op.ldb, cols, kc)
	} else {
		src := unsafe.Add(op.b, uintptr(k)*op.ldb+uintptr(j)*op.elem)
		copyStrip(op.level, dst, src, width, op.ldb, kc, cols*int(op.elem))
	}
}

// runTask computes one piece of C for all k of the pass.
func (op *gemmOp) runTask(task int) {
	panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
	i0, i1 := share(op.m, op.rowTasks, task%op.rowTasks)
	p0, p1 := share(panels, op.colTasks, task/op.rowTasks)
	w := getBench()
	defer w.release()
	for k := op.k0; k < op.k1; k += op.kc {
		kc := min(op.kc, op.k1-k)
		op.runBlock(w, i0, i1, p0, p1, k, kc)
	}
}

// runBlock adds one k block to rows [i0, i1) and panels [p0, p1) of C.
func (op *gemmOp) runBlock(w *microBench, i0, i1, p0, p1, k, kc int) {
	args := &w.args
	args.k = kc
	args.alpha, args.beta = op.alpha, op.beta
	if k > 0 {
		args.beta = op.one()
	}
	// The rows are dealt evenly to tiles of two heights, so that no tile is mostly padding.
	rows := i1 - i0
	tiles := (rows + op.mr - 1) / op.mr
	short, tall := rows/tiles, rows%tiles // tall tiles have one row more
	a, tallSize, shortSize := op.placeA(w, i0, tiles, short, tall, k, kc, p1-p0)
	for p := p0; p < p1; p++ {
		j := op.j0 + p*op.nr
		cols := min(op.nr, op.j1-j)
		args.mask = 1<<cols - 1
		op.placeB(w, p, j, cols, k, kc)
		c := unsafe.Add(op.c, uintptr(i0)*op.ldc+uintptr(j)*op.elem)
		args.c, args.ldc = c, op.ldc
		edge := cols < op.nr && !op.masks
		if edge {
			op.widen(w, c, rows, cols)
		}
		start := args.c
		if tall > 0 {
			args.a, args.ats = a, tallSize
			args.mr, args.tiles = short+1, tall
			micro(op.level, op.double, args)
		}
		if tall < tiles {
			args.a, args.ats = unsafe.Add(a, uintptr(tall)*tallSize), shortSize
			args.c = unsafe.Add(start, uintptr(tall*(short+1))*args.ldc)
			args.mr, args.tiles = short, tiles-tall
			micro(op.level, op.double, args)
		}
		if edge {
			copyStripGo(c, start, op.ldc, args.ldc, rows, cols*int(op.elem))
		}
	}
}

// one returns the bits of 1.
func (op *gemmOp) one() uint64 {
	var bits uint64
	if op.double {
		*(*float64)(unsafe.Pointer(&bits)) = 1
	} else {
		*(*float32)(unsafe.Pointer(&bits)) = 1
	}
	return bits
}

// widen points the kernel at a copy of an edge of C that is wide enough for whole tiles.
func (op *gemmOp) widen(w *microBench, c unsafe.Pointer, rows, cols int) {
	args := &w.args
	args.ldc = uintptr(op.nr) * op.elem
	args.c = w.c.bytes(rows * int(args.ldc))
	clear(unsafe.Slice((*byte)(args.c), uintptr(rows)*args.ldc))
	copyStripGo(args.c, c, args.ldc, op.ldc, rows, cols*int(op.elem))
}

// placeA sets the strides of A for the tiles of a block, packing it where that pays, and returns
// its first element and the bytes from a tall and from a short tile to the next.
func (op *gemmOp) placeA(w *microBench, i0, tiles, short, tall, k, kc, panels int) (a unsafe.Pointer, tallSize, shortSize uintptr) {
	args := &w.args
	rows := short*tiles + tall
	if !op.transA {
		a = unsafe.Add(op.a, uintptr(i0)*op.lda+uintptr(k)*op.elem)
		args.ars, args.acs = op.lda, op.elem
		if op.lda%conflictStride == 0 && short >= cacheWays && panels >= copyPanels {
			// The extra line spreads the rows of a tile over the sets of the cache.
			width := roundUp(kc*int(op.elem), cacheLine) + cacheLine
			dst := w.a.bytes(rows * width)
			copyStripGo(dst, a, uintptr(width), op.lda, rows, kc*int(op.elem))
			a, args.ars = dst, uintptr(width)
		}
		return a, uintptr(short+1) * args.ars, uintptr(short) * args.ars
	}
	a = unsafe.Add(op.a, uintptr(k)*op.lda+uintptr(i0)*op.elem)
	args.ars, args.acs = op.elem, op.lda
	if panels < transposePanels {
		return a, uintptr(short+1) * op.elem, uintptr(short) * op.elem
	}
	// Tiles one after the other, in each the rows of Aᵀ; one column stride serves both heights.
	height := short
	if tall > 0 {
		height++
	}
	args.acs = uintptr(height) * op.elem
	tile := uintptr(kc) * args.acs
	dst := w.a.bytes(tiles*int(tile) + packSlack)
	row := 0
	for t := range tiles {
		h := short
		if t < tall {
			h++
		}
		src := unsafe.Add(a, uintptr(row)*op.elem)
		copyStrip(op.level, unsafe.Add(dst, uintptr(t)*tile), src, args.acs, op.lda, kc, h*int(op.elem))
		row += h
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
	transposePanels = 12
	// packSlack is what copyStrip may write past its last row.
	packSlack = 32
)

// placeB sets the panel of B.
func (op *gemmOp) placeB(w *microBench, p, j, cols, k, kc int) {
	args := &w.args
	args.brs = uintptr(op.nr) * op.elem
	switch {
	case op.packsB():
		args.b = op.panel(p, k-op.k0, kc)
	case cols == op.nr || op.masks:
		args.b, args.brs = unsafe.Add(op.b, uintptr(k)*op.ldb+uintptr(j)*op.elem), op.ldb
	default:
		// A kernel without masks would read past the last row.
		args.b = w.b.bytes(kc * int(args.brs))
		op.packB(args.b, k, kc, j, cols)
	}
}
