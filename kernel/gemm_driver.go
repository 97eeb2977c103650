package kernel

import "unsafe"

const (
	// passBytes is about how much of B is packed at once, in whole k blocks: it should still be in
	// a cache when it is used.
	passBytes = 4 << 20
	// passBytesTransA is the same for a transposed A: a weight gradient, whose k is the many rows of
	// a batch and whose C is small, so that C goes to and fro more often for panels that stay nearer.
	passBytesTransA = 1 << 20
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
	op.pairs = op.reads == BFloat16 && !op.double && op.level == isaAVX512 && multipliesBFloat16
	if op.reads == Full && op.planThin() {
		op.runTasks(op.thin.tasks, op.thin.run)
		return
	}
	if narrow := blockingOf(isaAVX2, op.double); op.level == isaAVX512 && !op.pairs && (halvesVectors || op.n <= narrow.nr) {
		op.level, op.blocking = isaAVX2, narrow // no slower, or a tile of AVX-512 would be half empty
	}
	blocks := (op.k + kBlock - 1) / kBlock
	unit := 8
	if op.reads == BFloat16 {
		unit = 16 // 8 pairs
	}
	op.kc = roundUp((op.k+blocks-1)/blocks, unit)
	blocks = (op.k + op.kc - 1) / op.kc
	size := passBytes
	if op.transA {
		size = passBytesTransA
	}
	pass := max(size/(int(op.elem)*op.n*op.kc), 1)
	pass = (blocks + (blocks+pass-1)/pass - 1) / ((blocks + pass - 1) / pass) // as many blocks in each
	for op.k0 = 0; op.k0 < op.k; op.k0 = op.k1 {
		op.k1 = min(op.k, op.k0+pass*op.kc)
		nc := max(packedBytes/(int(op.elem)*(op.k1-op.k0))/op.nr, 4) * op.nr
		for op.j0 = 0; op.j0 < op.n; op.j0 = op.j1 {
			op.j1 = min(op.n, op.j0+nc)
			panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
			if op.packsB() {
				op.packed.bytes(panels * op.nr * op.depth(op.k1-op.k0) * int(op.elem)) // grow before the threads share it
				if op.packsByRows(panels) {
					op.runTasks((op.k1-op.k0+packRowsTask-1)/packRowsTask, op.packRows)
				} else {
					op.runTasks(panels, op.packPanels)
				}
			}
			op.planTasks(panels)
			op.runTasks(op.rowTasks*op.colTasks, op.tile)
		}
	}
}

// packsB tells whether B is copied to panels. A B whose rows run along the tile is read in place
// when no second row of tiles would use the copy, unless it has to be rounded.
func (op *gemmOp) packsB() bool { return op.transB || op.m > op.mr || op.reads == BFloat16 }

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
	op.colTasks = 1
	if op.threads == 1 {
		mc := op.mc
		if op.transA && op.level == isaAVX2 {
			mc += mc / 3 // A is packed, without gaps, and fewer tasks read the panels of B less often
		}
		op.rowTasks = (op.m + mc - 1) / mc
		return
	}
	op.rowTasks = (op.m + op.mc - 1) / op.mc
	want := op.threads * tasksPerThread
	op.rowTasks = max(op.rowTasks, min(want, op.m/minTaskRows))
	if op.rowTasks < want {
		op.colTasks = min(panels, (want+op.rowTasks-1)/op.rowTasks)
	}
}

// share returns the i-th of parts nearly equal ranges of [0, n).
func share(n, parts, i int) (lo, hi int) { return n * i / parts, n * (i + 1) / parts }

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// runTask computes one piece of C for all k of the pass.
func (op *gemmOp) runTask(task int) {
	panels := (op.j1 - op.j0 + op.nr - 1) / op.nr
	i0, i1 := share(op.m, op.rowTasks, task%op.rowTasks)
	p0, p1 := share(panels, op.colTasks, task/op.rowTasks)
	w := getBench()
	defer w.release()
	for k := op.k0; k < op.k1; k += op.kc {
		kc := min(op.kc, op.k1-k)
		next := op.nextBlock(task, k+kc)
		if op.sums != nil && op.j0 == 0 && p0 == 0 { // once for each block of A
			op.addSums(i0, i1, k, kc)
		}
		op.runBlock(w, i0, i1, p0, p1, k, kc, next)
	}
}

// addSums adds rows [k, k+kc) of A as it is stored, columns [i0, i1), to the sums. Blocks start at multiples of
// four rows, so that the order is that of ColSum for the whole.
func (op *gemmOp) addSums(i0, i1, k, kc int) {
	src := unsafe.Add(op.a, uintptr(k)*op.lda+uintptr(i0)*op.elem)
	dst := unsafe.Add(op.sums, uintptr(i0)*op.elem)
	if op.double {
		addSums[float64](dst, src, kc, i1-i0, int(op.lda/op.elem))
	} else {
		addSums[float32](dst, src, kc, i1-i0, int(op.lda/op.elem))
	}
}

func addSums[T Float](dst, src unsafe.Pointer, rows, cols, ld int) {
	colSum(unsafe.Slice((*T)(dst), cols), unsafe.Slice((*T)(src), (rows-1)*ld+cols), rows, ld)
}

// runBlock adds one k block to rows [i0, i1) and panels [p0, p1) of C, and meanwhile brings next
// into the cache.
func (op *gemmOp) runBlock(w *microBench, i0, i1, p0, p1, k, kc int, next block) {
	args := &w.args
	args.k = op.depth(kc)
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
		args.next, args.nextStride = next.lines(p-p0, rows)
		if args.next == 0 {
			args.next = uintptr(c) // is fetched anyway
		}
		edge := cols < op.nr && !op.masks
		if edge {
			op.widen(w, c, rows, cols, args.beta != 0 && (op.bias == nil || k > 0))
		}
		args.bias = nil
		if op.bias != nil && k == 0 {
			op.placeBias(w, j, cols)
		}
		start := args.c
		if tall > 0 {
			args.a, args.ats = a, tallSize
			args.mr, args.tiles = short+1, tall
			op.micro(args)
		}
		if tall < tiles {
			args.a, args.ats = unsafe.Add(a, uintptr(tall)*tallSize), shortSize
			args.c = unsafe.Add(start, uintptr(tall*(short+1))*args.ldc)
			args.mr, args.tiles = short, tiles-tall
			op.micro(args)
		}
		if edge {
			copyStripGo(c, start, op.ldc, args.ldc, rows, cols*int(op.elem))
		}
	}
}

// micro runs the micro-kernel.
func (op *gemmOp) micro(args *microArgs) {
	if op.pairs {
		microPairs(args)
	} else {
		micro(op.level, op.double, args)
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

// placeBias makes the kernel add the bias of columns j.. to the sums.
func (op *gemmOp) placeBias(w *microBench, j, cols int) {
	w.args.beta = op.one()
	w.args.bias = unsafe.Add(op.bias, uintptr(j)*op.elem)
	if cols < op.nr && !op.masks { // a kernel without masks would read past the end
		edge := w.bias.bytes(op.nr * int(op.elem))
		copyStripGo(edge, w.args.bias, 0, 0, 1, cols*int(op.elem))
		w.args.bias = edge
	}
}

// widen points the kernel at scratch in place of an edge of C, wide enough for whole tiles: a copy if the kernel reads it.
func (op *gemmOp) widen(w *microBench, c unsafe.Pointer, rows, cols int, reads bool) {
	args := &w.args
	args.ldc = uintptr(op.nr) * op.elem
	args.c = w.c.bytes(rows * int(args.ldc))
	if !reads {
		return
	}
	clear(unsafe.Slice((*byte)(args.c), uintptr(rows)*args.ldc))
	copyStripGo(args.c, c, args.ldc, op.ldc, rows, cols*int(op.elem))
}

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
