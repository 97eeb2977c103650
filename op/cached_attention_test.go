package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// decoding is a graph that appends tokens to a cache and attends to it.
type decoding struct {
	tape        *Tape
	plan        *Plan
	vm          G.VM
	arena       Arena
	q, k, v     *tensor.Dense
	past, fresh []int
	slots       []int // each row its own
	out         *G.Node
}

// cacheOf is a cache of keys and values of one width.
func cacheOf(dtype tensor.Dtype, batch, kvHeads, capacity, width int) *KVCache {
	return NewKVCache(dtype, batch, capacity, CacheLayout{KVHeads: kvHeads, KeyDim: width, ValueDim: width})
}

// newDecoding builds cached attention for s.SeqLen new tokens a sequence. q comes
// from planned memory, which the operator could take over if it dared.
func newDecoding(t *testing.T, dtype tensor.Dtype, s AttentionShape, cache *KVCache) *decoding {
	t.Helper()
	n := s.Batch * s.SeqLen
	d := &decoding{tape: NewTape(dtype, false), past: make([]int, s.Batch), fresh: make([]int, s.Batch)}
	input := func(name string, columns int, at **tensor.Dense) *G.Node {
		*at = tensor.New(tensor.Of(dtype), tensor.WithShape(n, columns))
		return copied(d.tape, d.tape.Input(name, *at))
	}
	q, k := input("q", s.Heads*s.HeadDim, &d.q), input("k", s.KVHeads*s.HeadDim, &d.k)
	var v *G.Node
	if !cache.Shared {
		v = input("v", s.KVHeads*s.complete().ValueDim, &d.v)
	}
	d.slots = make([]int, s.Batch)
	for i := range d.slots {
		d.slots[i] = i
	}
	slots := d.tape.Input("slots", tensor.New(tensor.WithShape(s.Batch), tensor.WithBacking(d.slots)))
	past := d.tape.Input("past", tensor.New(tensor.WithShape(s.Batch), tensor.WithBacking(d.past)))
	fresh := d.tape.Input("fresh", tensor.New(tensor.WithShape(s.Batch), tensor.WithBacking(d.fresh)))
	// The copy reads the result like a layer behind it; only the copy is pinned.
	d.out = copied(d.tape, CachedAttention(d.tape, q, k, v, slots, past, fresh, cache, s))
	var err error
	if d.plan, err = d.tape.Plan(true, d.out); err != nil {
		t.Fatal(err)
	}
	d.vm = G.NewTapeMachine(d.tape.Graph)
	return d
}

func (d *decoding) run() ([]float64, error) {
	d.plan.Bind(&d.arena)
	if err := d.tape.Run(d.vm); err != nil {
		return nil, err
	}
	return float64s(d.out.Value()), nil
}

// fillRows copies rows [from, from+count) of sequence b of src, [B, T, columns],
// to the first rows of sequence b of dst.
func fillRows(dst *tensor.Dense, src []float64, b, newLen, length, from, count int) {
	columns := dst.Shape()[1]
	for i := range count * columns {
		x := src[(b*length+from)*columns+i]
		switch s := dst.Data().(type) {
		case []float64:
			s[b*newLen*columns+i] = x
		case []float32:
			s[b*newLen*columns+i] = float32(x)
		}
	}
}

// TestCachedAttention feeds sequences in portions of every kind: the outputs are
// those of causal attention over the whole sequences.
func TestCachedAttention(t *testing.T) {
	for _, size := range []int{9, 70, 300} {
		for _, h := range headLayouts {
			for name, portions := range map[string][]int{"one by one": {1}, "prompt then one by one": {size - 3, 1}, "by 5": {5}} {
				t.Run(fmt.Sprintf("%d tokens %s %s", size, h.name, name), func(t *testing.T) {
					if testing.Short() && size == 300 {
						t.Skip("-short leaves out the long sequences")
					}
					testCached(t, AttentionShape{Batch: 2, SeqLen: size, Heads: h.queries, KVHeads: h.keys, HeadDim: 6, Causal: true}, portions)
				})
			}
		}
	}
}

func testCached(t *testing.T, whole AttentionShape, portions []int) {
	s := attentionOf("whole", whole, nil)
	want := s.compile(t, tensor.Float64).result(t).y
	cache := cacheOf(tensor.Float64, whole.Batch, whole.KVHeads, whole.SeqLen, whole.HeadDim)
	width := whole.Heads * whole.HeadDim
	graphs := map[int]*decoding{}
	done := make([]int, whole.Batch)
	for step := 0; done[0] < whole.SeqLen || done[1] < whole.SeqLen; step++ {
		size := portions[min(step, len(portions)-1)]
		d := graphs[size]
		if d == nil {
			shape := whole
			shape.SeqLen = size
			d = newDecoding(t, tensor.Float64, shape, cache)
			graphs[size] = d
		}
		for b := range done {
			count := min(size, whole.SeqLen-done[b])
			if b == 1 && step%3 == 1 {
				count = max(0, count-1) // sequences fall out of step: padding at the end
			}
			d.past[b], d.fresh[b] = done[b], count
			fillRows(d.q, s.floats["q"].data, b, size, whole.SeqLen, done[b], count)
			fillRows(d.k, s.floats["k"].data, b, size, whole.SeqLen, done[b], count)
			fillRows(d.v, s.floats["v"].data, b, size, whole.SeqLen, done[b], count)
		}
		y, err := d.run()
		if err != nil {
			t.Fatal(err)
		}
		for b := range done {
			count := d.fresh[b]
			got := y[b*size*width:][:size*width]
			same(t, fmt.Sprintf("step %d sequence %d", step, b), got[:count*width], want[(b*whole.SeqLen+done[b])*width:][:count*width], 1e-12)
			same(t, "padding", got[count*width:], make([]float64, (size-count)*width), 0)
			done[b] += count
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// goldenCached compares new tokens over a filled cache with PyTorch.
func goldenCached(t *testing.T, c golden) {
	shape := c.attentionShape(true)
	all := c["k"].shape[1]
	for dtype, tol := range goldenTol {
		cache := cacheOf(dtype, shape.Batch, shape.KVHeads, all, shape.HeadDim)
		prompt := shape
		prompt.SeqLen = all - shape.SeqLen
		for _, part := range []struct {
			s    AttentionShape
			past int
		}{{prompt, 0}, {shape, prompt.SeqLen}} {
			d := newDecoding(t, dtype, part.s, cache)
			for b := range shape.Batch {
				d.past[b], d.fresh[b] = part.past, part.s.SeqLen
				if part.past > 0 { // the prompt's queries do not matter
					fillRows(d.q, c["q"].data, b, part.s.SeqLen, part.s.SeqLen, 0, part.s.SeqLen)
				}
				fillRows(d.k, c["k"].data, b, part.s.SeqLen, all, part.past, part.s.SeqLen)
				fillRows(d.v, c["v"].data, b, part.s.SeqLen, all, part.past, part.s.SeqLen)
			}
			y, err := d.run()
			if err != nil {
				t.Fatal(err)
			}
			if part.past > 0 {
				same(t, "y", y, c["y"].data, tol)
			}
		}
	}
}

func TestCachedAttentionErrors(t *testing.T) {
	shape := AttentionShape{Batch: 2, SeqLen: 2, Heads: 2, KVHeads: 1, HeadDim: 4}
	cache := cacheOf(tensor.Float64, 2, 1, 5, 4)
	for _, tc := range []struct {
		name        string
		past, fresh []int
		want        string
	}{
		{"overflow", []int{0, 4}, []int{2, 2}, "op: cached_attention: sequence 1: 2 new tokens after 4, want at most 2 new and 5 in all"},
		{"too many new", []int{0, 0}, []int{3, 2}, "op: cached_attention: sequence 0: 3 new tokens after 0, want at most 2 new and 5 in all"},
		{"negative past", []int{-1, 0}, []int{2, 2}, "op: cached_attention: sequence 0: 2 new tokens after -1, want at most 2 new and 5 in all"},
		{"negative fresh", []int{0, 0}, []int{2, -1}, "op: cached_attention: sequence 1: -1 new tokens after 0, want at most 2 new and 5 in all"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDecoding(t, tensor.Float64, shape, cache)
			copy(d.past, tc.past)
			copy(d.fresh, tc.fresh)
			if _, err := d.run(); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct {
		slots []int
		want  string
	}{
		"no such slot": {[]int{0, 2}, "op: cached_attention: sequence 1: slot 2 of 2 does not exist, or another row has its places"},
		"negative":     {[]int{-1, 0}, "op: cached_attention: sequence 0: slot -1 of 2 does not exist, or another row has its places"},
		"twice":        {[]int{1, 1}, "op: cached_attention: sequence 1: slot 1 of 2 does not exist, or another row has its places"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoding(t, tensor.Float64, shape, cache)
			copy(d.slots, tc.slots)
			copy(d.fresh, []int{1, 1})
			if _, err := d.run(); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
	for name, small := range map[string]*KVCache{
		"heads": cacheOf(tensor.Float64, 2, 2, 5, 4), "width": cacheOf(tensor.Float64, 2, 1, 5, 3),
	} {
		t.Run("cache of another "+name, func(t *testing.T) {
			if got := panicOf(func() { newDecoding(t, tensor.Float64, shape, small) }); got == "" {
				t.Error("no panic, want a ShapeError")
			}
		})
	}
}

// TestPlacesOfOneSequence: rows for several places of one sequence get what they get one after the other, to the last bit, beside
// a row of another sequence; before, at and behind the border of two pieces of keys.
func TestPlacesOfOneSequence(t *testing.T) {
	const n, capacity = 5, keyPiece + 8
	for _, l := range []CacheLayout{
		{KVHeads: 2, KeyDim: 16, ValueDim: 8}, {KVHeads: 1, KeyDim: 32, ValueDim: 16, Shared: true}, {KVHeads: 2, KeyDim: 16, ValueDim: 16, Int8: true},
	} {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, past := range []int{0, 3, keyPiece - 2, keyPiece + 1} {
				shape := AttentionShape{SeqLen: 1, Heads: 4, KVHeads: l.KVHeads, HeadDim: l.KeyDim, ValueDim: l.ValueDim}
				run := func(d *decoding, rows ...int) []float64 {
					for i, row := range rows {
						for j, x := range []*tensor.Dense{d.q, d.k, d.v} {
							if x == nil {
								continue
							}
							width := x.Shape()[1]
							drawn := make([]float64, (n+1)*width)
							for k := range drawn {
								drawn[k] = math.Sin(float64(k*k+j+past)) / 2
							}
							fillRows(x, append(make([]float64, i*width), drawn[row*width:]...), i, 1, 1, 0, 1)
						}
						d.past[i], d.fresh[i], d.slots[i] = past+row, 1, 1
						if row == n { // another sequence's
							d.past[i], d.slots[i] = 7, 0
						}
					}
					y, err := d.run()
					if err != nil {
						t.Fatal(err)
					}
					return y
				}
				cache := func() *KVCache {
					c := NewKVCache(dtype, 2, capacity, l)
					c.Fill([]float64{0.3, -0.7, 0.2, 0.9, -0.1})
					return c
				}
				shape.Batch = 1
				one, want := newDecoding(t, dtype, shape, cache()), []float64(nil)
				for row := range n + 1 {
					want = append(want, run(one, row)...)
				}
				shape.Batch = n + 1
				if got := run(newDecoding(t, dtype, shape, cache()), 0, 1, 2, 3, 4, n); !slices.Equal(got, want) {
					t.Errorf("%+v of %v after %d: other values than one after the other", l, dtype, past)
				}
			}
		}
	}
}

// TestFloat32Cache compares one new token's attention in float32, over caches of
// widths that the kernels read in place and of others, with float64.
func TestFloat32Cache(t *testing.T) {
	for _, c := range []struct {
		name   string
		heads  int
		l      CacheLayout
		rotary bool
	}{
		{"a key head for each", 8, CacheLayout{KVHeads: 8, KeyDim: 64, ValueDim: 64}, false},
		{"one key head", 8, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128}, false},
		{"groups, odd widths", 6, CacheLayout{KVHeads: 2, KeyDim: 24, ValueDim: 40}, false},
		{"groups, parts of vectors", 14, CacheLayout{KVHeads: 2, KeyDim: 10, ValueDim: 21}, false},
		{"values that begin keys", 8, CacheLayout{KVHeads: 1, KeyDim: 160, ValueDim: 128, Shared: true}, false},
		{"keys turned when read", 8, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128, Shared: true}, true},
		{"more heads than are read in place", 20, CacheLayout{KVHeads: 1, KeyDim: 32, ValueDim: 16}, false},
	} {
		for _, c.l.Int8 = range []bool{false, true} {
			t.Run(fmt.Sprintf("%s 8 bits %v", c.name, c.l.Int8), func(t *testing.T) {
				var y [2][]float64
				for i, dtype := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
					if c.rotary {
						c.l.Rotary = NewRotaryTable(c.l.KeyDim, cacheTokens, 100, dtype)
					}
					y[i] = oneAfter(t, dtype, c.heads, c.l, cacheTokens-1)
				}
				same(t, "output", y[1], y[0], float32Tol)
			})
		}
	}
}

// oneAfter is the attention of two sequences' one new token after past drawn ones.
func oneAfter(t *testing.T, dtype tensor.Dtype, heads int, l CacheLayout, past int) []float64 {
	t.Helper()
	s := AttentionShape{Batch: 2, SeqLen: 1, Heads: heads, KVHeads: l.KVHeads, HeadDim: l.KeyDim, ValueDim: l.ValueDim}
	cache := NewKVCache(dtype, s.Batch, past+1, l)
	rng := rand.New(rand.NewPCG(11, uint64(heads)))
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(rng.NormFloat64())) // the same number in either type
		}
		return x
	}
	cache.Fill(draw(1009))
	d := newDecoding(t, dtype, s, cache)
	for _, to := range []*tensor.Dense{d.q, d.k, d.v} {
		if to != nil {
			fillRows(to, draw(to.Shape().TotalSize()), 0, s.Batch, s.Batch, 0, s.Batch)
		}
	}
	d.past[0], d.past[1], d.fresh[0], d.fresh[1] = past, past-3, 1, 1
	y, err := d.run()
	if err != nil {
		t.Fatal(err)
	}
	return y
}
