//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./cache -pkg kernel -out ../../cache_amd64.s -stubs ../../cache_stubs_amd64.go

// cacheArgs is what the assembly works on. Strides are in bytes. It reads this struct by offset,
// counts groups down and done up.
type cacheArgs struct {
	rows, x, out        unsafe.Pointer
	ldRows, ldX, ldOut  uintptr
	ahead               uintptr // from the first row to what to fetch meanwhile
	count               int
	mask                uint64
	masks               unsafe.Pointer
	groups, shape, done int
}

// setMask selects the first n lanes.
func (a *cacheArgs) setMask(n int) {
	a.mask, a.masks = 1<<n-1, unsafe.Pointer(selectBytes(4*n))
}

// cacheChunk is how many rows of values are added up for one strip of columns after the other: they
// stay in the first-level cache meanwhile. cacheCall is the most rows of keys that one assembly call
// gets: the Go scheduler cannot interrupt it.
const (
	cacheChunk = 64
	cacheCall  = 1024
)

// vecCacheScores is CacheScores in assembly. It tells whether there is any for the shape.
func vecCacheScores(s []float32, lds int, q []float32, ldq int, rows CacheRows[float32], queries, n, width int, ahead uintptr) bool {
	codes := rows.X == nil
	level := cacheLevel(codes, width)
	lanes := level.lanes()
	if level == isaGo || n < lanes {
		return false
	}
	args := cacheArgs{ldRows: uintptr(rows.LD) * rows.elem(), ldX: 4 * uintptr(ldq), ldOut: 4 * uintptr(lds), ahead: ahead, count: width / lanes}
	args.setMask(width % lanes)
	for i := 0; i < queries; i += args.shape {
		args.shape = queriesAtOnce(queries - i)
		group := lanes / args.shape
		for j := 0; j < n; {
			groups := min(n-j, cacheCall) / group
			if groups == 0 { // the last group overlaps the one before it
				j, groups = n-group, 1
			}
			args.rows = unsafe.Add(rows.start(), uintptr(j)*args.ldRows)
			args.x, args.out = unsafe.Pointer(&q[i*ldq]), unsafe.Pointer(&s[i*lds+j])
			args.groups, args.done = groups, 0
			runCacheScores(level, codes, &args)
			j += groups * group
		}
		for x := i; codes && x < i+args.shape; x++ {
			row := s[x*lds : x*lds+n]
			vecMul(row, row, rows.Scales[:n])
		}
		args.ahead = 0 // fetched by now
	}
	return true
}

// vecCacheValues is CacheValues in assembly. It tells whether there is any for the shape.
func vecCacheValues(y []float32, ldy int, p []float32, ldp int, rows CacheRows[float32], queries, n, width int, ahead uintptr) bool {
	codes := rows.X == nil
	level := cacheLevel(codes, width)
	if level == isaGo {
		return false
	}
	for i := 0; codes && i < queries; i++ {
		row := p[i*ldp : i*ldp+n]
		vecMul(row, row, rows.Scales[:n])
	}
	lanes, elem := level.lanes(), rows.elem()
	args := cacheArgs{ldRows: uintptr(rows.LD) * elem, ldX: 4 * uintptr(ldp), ldOut: 4 * uintptr(ldy)}
	for j := 0; j < n; j += cacheChunk {
		args.count = min(cacheChunk, n-j)
		for i := 0; i < queries; i += args.shape {
			args.shape = queriesAtOnce(queries - i)
			args.x = unsafe.Pointer(&p[i*ldp+j])
			strip := lanes * min(4, lanes/args.shape)
			for c := 0; c < width; {
				step := strip
				args.groups = 1
				if width-c < strip { // one vector, or a part of one
					args.groups, step = 0, min(lanes, width-c)
					args.setMask(step)
				}
				args.rows = unsafe.Add(rows.start(), uintptr(j)*args.ldRows+uintptr(c)*elem)
				args.out = unsafe.Pointer(&y[i*ldy+c])
				// Strip after strip fetches one run of the memory that follows: in order it comes faster.
				args.ahead = 0
				if i == 0 && ahead != 0 {
					args.ahead = ahead + uintptr(c*(args.count-1))*elem
				}
				runCacheValues(level, codes, &args)
				c += step
			}
		}
	}
	return true
}

// cacheLevel is the instruction set for rows of that width: rows of codes must be whole vectors.
func cacheLevel(codes bool, width int) isaLevel {
	switch {
	case isa == isaAVX512 && codes && width%16 != 0 && width%8 == 0:
		return isaAVX2
	case codes && width%isa.lanes() != 0:
		return isaGo
	}
	return isa
}

// lanes is the number of float32 in a vector.
func (l isaLevel) lanes() int { return [...]int{isaGo: 1, isaAVX2: 8, isaAVX512: 16}[l] }

// queriesAtOnce is how many of the queries that are left the assembly takes at a time.
func queriesAtOnce(left int) int {
	switch {
	case left >= 8:
		return 8
	case left >= 4:
		return 4
	case left >= 2:
		return 2
	}
	return 1
}

func runCacheScores(l isaLevel, codes bool, args *cacheArgs) {
	p := (*byte)(unsafe.Pointer(args))
	switch {
	case l == isaAVX512 && codes:
		cacheScoresI8AVX512(p)
	case l == isaAVX512:
		cacheScoresF32AVX512(p)
	case codes:
		cacheScoresI8AVX2(p)
	default:
		cacheScoresF32AVX2(p)
	}
}

func runCacheValues(l isaLevel, codes bool, args *cacheArgs) {
	p := (*byte)(unsafe.Pointer(args))
	switch {
	case l == isaAVX512 && codes:
		cacheValuesI8AVX512(p)
	case l == isaAVX512:
		cacheValuesF32AVX512(p)
	case codes:
		cacheValuesI8AVX2(p)
	default:
		cacheValuesF32AVX2(p)
	}
}

// vecRotateRows is RotateRows in assembly, for halves of whole vectors. It tells whether they are.
func vecRotateRows(dst, src, cos, sin []float32, rows, half int) bool {
	switch {
	case isa == isaAVX512 && half%16 == 0:
		cacheRotateAVX512(&dst[0], &src[0], &cos[0], &sin[0], rows, half/16)
	case isa != isaGo && half%8 == 0:
		cacheRotateAVX2(&dst[0], &src[0], &cos[0], &sin[0], rows, half/8)
	default:
		return false
	}
	return true
}

// vecDequantize decodes whole vectors and returns how many elements that were.
func vecDequantize(dst []float32, codes []int8, scale float32) int {
	n := len(dst) / isa.lanes() * isa.lanes()
	switch {
	case isa == isaGo || n == 0:
		return 0
	case isa == isaAVX512:
		cacheDecodeAVX512(&dst[0], &codes[0], scale, n/16)
	default:
		cacheDecodeAVX2(&dst[0], &codes[0], scale, n/8)
	}
	return n
}
