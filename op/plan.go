package op

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// buffer is a piece of memory that one or more operators of a graph use between
// two points of its execution order.
type buffer struct {
	dtype tensor.Dtype
	n     int // elements

	inPlace []int // inputs of the operator that fills it whose memory it may take once nobody else reads them

	first, last int // execution positions, set by Plan; first = -1: not placed yet
	pinned      bool
	parent      *buffer // this buffer lives in that one's memory
	offset      int     // in the arena, bytes
	mem         []byte
	dense       *tensor.Dense // the tensor over mem that the last reader asked for
}

// buffer makes a buffer of n elements; see buffer.inPlace.
func (t *Tape) buffer(n int, inPlace ...int) *buffer {
	return &buffer{dtype: t.Dtype, n: n, inPlace: inPlace, first: -1}
}

func (b *buffer) bytes() int { return b.n * int(b.dtype.Size()) }

// root follows in-place outputs and views to the buffer that owns the memory.
func (b *buffer) root() *buffer {
	for b.parent != nil {
		b = b.parent
	}
	return b
}

// tensor returns b's memory in the given shape.
func (b *buffer) tensor(shape tensor.Shape) *tensor.Dense {
	if b.dense == nil || !b.dense.Shape().Eq(shape) {
		if b.dtype == tensor.Float32 {
			b.dense = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(floats[float32](b)))
		} else {
			b.dense = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(floats[float64](b)))
		}
	}
	return b.dense
}

// floats is b's memory as a slice.
func floats[T kernel.Float](b *buffer) []T {
	if b.n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b.mem[0])), b.n)
}

// poison fills b with NaN, so that a read after its end of life is seen.
func (b *buffer) poison() {
	if b.dtype == tensor.Float32 {
		for i, s := 0, floats[float32](b); i < len(s); i++ {
			s[i] = float32(math.NaN())
		}
		return
	}
	for i, s := 0, floats[float64](b); i < len(s); i++ {
		s[i] = math.NaN()
	}
}

// data returns the elements of a value of a node.
func data[T kernel.Float](v G.Value) []T {
	d := v.(*tensor.Dense)
	var s []T
	switch p := any(&s).(type) {
	case *[]float32:
		*p = d.Float32s()
	case *[]float64:
		*p = d.Float64s()
	}
	return s
}

// ints returns the elements of an integer value.
func ints(v G.Value) []int { return v.(*tensor.Dense).Ints() }

// Plan says where in an arena every buffer of a graph lives: two buffers share
// memory when no operator needs both. Execution order is that of the tape
// machine, a topological sort with ties broken by creation.
type Plan struct {
	tape    *Tape
	buffers []*buffer // that own memory
	size    int       // bytes

	deliveries []*operator // that hand over gradients, in the order of execution

	arena   *Arena
	version int
}

const align = 64 // bytes: a cache line, and an AVX-512 register

// Plan places the graph's buffers, once a graph. Pinned nodes (loss, logits, taps) keep their
// values until the next run; other values are overwritten as soon as their last
// reader has run. With poison, they are filled with NaN at that point.
func (t *Tape) Plan(poison bool, pinned ...*G.Node) (*Plan, error) {
	if t.planned {
		return nil, errors.New("op: the graph is planned already")
	}
	t.planned = true
	sorted, err := G.Sort(t.Graph)
	if err != nil {
		return nil, fmt.Errorf("op: %w", err)
	}
	slices.Reverse(sorted) // from inputs to outputs, as the tape machine runs
	lastRead := map[*G.Node]int{}
	for i, n := range sorted {
		if o, ok := n.Op().(*operator); ok {
			for _, child := range o.in {
				lastRead[child] = i
			}
		}
	}
	for _, n := range pinned {
		if o, ok := n.Op().(*operator); ok {
			if b := o.result(); b != nil {
				b.pinned = true
			}
		}
	}
	p := &Plan{tape: t}
	for i, n := range sorted {
		if o, ok := n.Op().(*operator); ok {
			p.live(o, i, lastRead[n])
			if len(o.delivers) > 0 {
				p.deliveries = append(p.deliveries, o)
			}
		}
	}
	p.place()
	if poison {
		byEnd := map[int][]*buffer{}
		for _, b := range p.buffers {
			if !b.pinned {
				byEnd[b.last] = append(byEnd[b.last], b)
			}
		}
		for i, n := range sorted {
			if o, ok := n.Op().(*operator); ok {
				o.dying = byEnd[i]
			}
		}
	}
	return p, nil
}

// result returns the buffer that holds o's output; nil for a view of a leaf.
func (o *operator) result() *buffer {
	if o.view >= 0 {
		if src, ok := o.in[o.view].Op().(*operator); ok {
			return src.result()
		}
		return nil
	}
	return o.out
}

// live extends the lifetimes of the buffers that operator o, at position i,
// touches; lastRead is the position of the last reader of its output.
func (p *Plan) live(o *operator, i, lastRead int) {
	filled := slices.Clone(o.aux)
	if o.view < 0 {
		filled = append(filled, o.out)
	}
	var taken []*buffer
	for _, b := range filled {
		if b.first >= 0 || b.parent != nil {
			continue // another operator's
		}
		if b.parent = p.donor(o, b, i, taken); b.parent != nil {
			taken = append(taken, b.parent)
		}
	}
	for _, b := range filled {
		p.touch(b, i)
	}
	if b := o.result(); b != nil {
		p.touch(b, max(i, lastRead))
	}
}

// donor returns the buffer of an input of o that b, which o fills at position i,
// may take over: one that b lists, of the same size, that nothing reads later.
func (p *Plan) donor(o *operator, b *buffer, i int, taken []*buffer) *buffer {
	if b.pinned {
		return nil
	}
	for _, j := range b.inPlace {
		src, ok := o.in[j].Op().(*operator)
		if !ok || src.result() == nil {
			continue
		}
		r := src.result().root()
		if r.last > i || r.pinned || r.n != b.n || slices.Contains(taken, r) || p.isAux(o, r) || p.readTwice(o, j, r) {
			continue
		}
		return r
	}
	return nil
}

// isAux says whether r is also one of o's private buffers.
func (p *Plan) isAux(o *operator, r *buffer) bool {
	for _, b := range o.aux {
		if b.root() == r {
			return true
		}
	}
	return false
}

// readTwice says whether o reads r's memory through another input than j.
func (p *Plan) readTwice(o *operator, j int, r *buffer) bool {
	for k, c := range o.in {
		if src, ok := c.Op().(*operator); ok && k != j && src.result() != nil && src.result().root() == r {
			return true
		}
	}
	return false
}

// touch makes b's memory live at position i.
func (p *Plan) touch(b *buffer, i int) {
	r := b.root()
	if r.first < 0 {
		r.first = i
		p.buffers = append(p.buffers, r)
	}
	r.last = max(r.last, i)
}

// place assigns offsets: largest buffers first, each at the lowest offset that
// no buffer living at the same time uses.
func (p *Plan) place() {
	bySize := slices.Clone(p.buffers)
	slices.SortStableFunc(bySize, func(a, b *buffer) int { return b.bytes() - a.bytes() })
	var placed []*buffer // by offset
	for _, b := range bySize {
		size, off := b.bytes(), 0
		for _, q := range placed {
			disjoint := !b.pinned && !q.pinned && (q.last < b.first || b.last < q.first)
			if disjoint || q.offset+q.bytes() <= off {
				continue
			}
			if q.offset >= off+size {
				break
			}
			off = (q.offset + q.bytes() + align - 1) / align * align
		}
		b.offset = off
		p.size = max(p.size, off+size)
		at, _ := slices.BinarySearchFunc(placed, b, func(x, y *buffer) int { return x.offset - y.offset })
		placed = slices.Insert(placed, at, b)
	}
}

// Rehearse calls the sinks as a run does: in the same order, with gradients that
// nobody computes. It shows what memory a sink will need.
func (p *Plan) Rehearse() error {
	for _, o := range p.deliveries {
		var whole []*Param
		for _, q := range o.delivers {
			if o.byRows && q.inRows() {
				if err := q.deliverRows(func(*tensor.Dense, int, int) {}); err != nil {
					return err
				}
				continue
			}
			q.open()
			whole = append(whole, q)
		}
		if err := closeAll(whole...); err != nil {
			return err
		}
	}
	return nil
}

// Bytes is the memory that the graph's values need.
func (p *Plan) Bytes() int { return p.size }

// Bind puts the buffers into the arena, which grows as needed. Plans that share
// an arena may run in turn, never at once; each is bound before it runs.
func (p *Plan) Bind(a *Arena) {
	a.grow(p.size)
	if p.arena == a && p.version == a.version {
		return
	}
	p.arena, p.version = a, a.version
	for _, o := range p.tape.ops {
		for _, b := range append(slices.Clone(o.aux), o.out) {
			if b == nil || b.first < 0 && b.parent == nil {
				continue
			}
			r := b.root()
			b.dense = nil
			b.mem = a.mem[r.offset : r.offset+b.bytes()]
		}
	}
}
