package decode

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/nn"
)

const vocab = 31

// variant is a network and how its weights and caches are held.
type variant struct {
	attention string
	positions string
	quantize  string // of the blocks' linear layers; "": float32
	int8Cache bool
	integers  bool // linear layers compute by products of integers
}

func (v variant) String() string {
	return strings.Join([]string{v.attention, v.positions, v.quantize, fmt.Sprint("int8 cache ", v.int8Cache, ", integers ", v.integers)}, ", ")
}

// variants are the kinds of attention, each storage of weights and each of caches.
var variants = []variant{
	{"mha", "rotary", "", false, false}, {"mha", "rotary", "int8", false, false}, {"mha", "rotary", "int4", true, false}, {"gqa", "rotary", "", true, false},
	{"gqa", "learned", "int8", true, false}, {"mla", "rotary", "", false, false}, {"mla", "learned", "int4", true, false}, {"mfa", "rotary", "int8", false, false}, {"mfa_kr", "rotary", "", true, false},
	{"gqa", "rotary", "", false, true}, {"mha", "learned", "int8", true, true}, {"mla", "rotary", "int4", false, true},
}

// session is a small network of that kind with weights far from their first values.
func session(t testing.TB, v variant, slots, capacity int) *model.Session {
	t.Helper()
	cfg, o := decoder.Default(), model.Options{Packed: true, Int8Cache: v.int8Cache}
	cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Positions = 48, 2, 72, v.positions
	for _, kind := range attention.Kinds() {
		if kind.Name == v.attention {
			cfg.Attention.OneOf = attention.As(kind.New())
		}
	}
	switch v.attention {
	case "gqa":
		cfg.Attention.NKVHead = 2
	case "mla":
		cfg.Attention.Of = attention.MLA{KVRank: 20, RopeDim: 6}
	}
	if v.quantize != "" {
		o.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: v.quantize, QuantBlock: 32}}}
	}
	store := nn.NewStore(tensor.Float32)
	s, err := model.NewSession(model.Language{Body: cfg, Text: model.Text{Vocab: vocab, Length: 512}}, store, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		w := make([]float32, store.Shape(name).TotalSize())
		rng.FillNormal(rng.New(5, name, 0), w, 0.05, 0.25)
		if store.InFewBits(name) {
			store.Codes(name).Quantize(w)
		} else {
			copy(store.Get(name).Float32s(), w)
		}
	}
	if o.Int8 = v.integers; o.Int8 { // whose values are there when it is made
		if s, err = model.NewSession(s.Network(), store, o); err != nil {
			t.Fatal(err)
		}
	}
	return s.Decoding(slots, capacity)
}

func prompt(n int, stream string) []int {
	r, out := rng.New(9, stream, 0), make([]int, n)
	for i := range out {
		out[i] = r.Intn(vocab)
	}
	return out
}

// trace is what a sequence was given and wrote.
type trace struct {
	scores [][]float32
	tokens []int
}

// record makes a request note its scores.
func (x *trace) record(r Request) Request {
	r.Allow = func(_ []int, scores []float32) { x.scores = append(x.scores, slices.Clone(scores)) }
	return r
}

func (x *trace) equal(y *trace) bool {
	return slices.Equal(x.tokens, y.tokens) && slices.EqualFunc(x.scores, y.scores, func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
	})
}

func mustNew(t testing.TB, s *model.Session, o Options) *Batch {
	t.Helper()
	b, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustAdmit(t testing.TB, b *Batch, r Request) int {
	t.Helper()
	i, err := b.Admit(r)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// step makes a step and notes the tokens by slot.
func step(t testing.TB, b *Batch, traces map[int]*trace) {
	t.Helper()
	tokens, err := b.Step(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tokens {
		traces[x.Slot].tokens = append(traces[x.Slot].tokens, x.ID)
		if x.Finish != "" {
			b.Release(x.Slot)
			delete(traces, x.Slot)
		}
	}
}

// alone is what a request gets with nobody beside it.
func alone(t testing.TB, v variant, r Request, chunk int) *trace {
	t.Helper()
	x := &trace{}
	b := mustNew(t, session(t, v, 1, 400), Options{Chunk: chunk})
	live := map[int]*trace{mustAdmit(t, b, x.record(r)): x}
	for len(live) > 0 {
		step(t, b, live)
	}
	return x
}

// TestPrefixesTakeNoMore: chunks are kept up to the limit and in no more memory than that, and a new one has the memory of those that go.
func TestPrefixesTakeNoMore(t *testing.T) {
	const chunk = 16
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			b := mustNew(t, session(t, v, 1, 400), Options{Chunk: chunk, PrefixBytes: 1 << 30})
			caches := b.s.Caches()
			next := 0
			keep := func() { next++; b.prefixes.keep(caches, 0, prompt(chunk, fmt.Sprint(next)), nil, chunk) }
			keep()
			size := b.prefixes.size
			b.prefixes.limit = 5*size + 1
			for range 20 {
				keep()
			}
			if n := len(b.prefixes.kept); n != 5 || b.prefixes.recent.Len() != 5 || b.prefixes.bytes != 5*size {
				t.Errorf("%d chunks are kept in %d bytes of %d each; want 5", n, b.prefixes.bytes, size)
			}
			newest := b.prefixes.recent.Front().Value.(*prefix)
			before := slices.Clone(newest.places)
			for range 5 { // until its memory has come round
				keep()
			}
			if again := b.prefixes.recent.Front().Value.(*prefix).places; &again[0] != &newest.places[0] {
				t.Error("a chunk has new memory, where one has gone")
			} else if !reflect.DeepEqual(again, before) {
				t.Error("a slot that has not changed is kept otherwise")
			}
			b.prefixes.limit = size - 1
			if keep(); len(b.prefixes.kept) != 5 {
				t.Error("a chunk above the limit pushes others out")
			}
		})
	}
}

// TestAloneAndBeside: the scores of every token are equal to the last bit alone and beside up to 15 others of other ages,
// with and without kept prefixes, and in slots that others have had before.
func TestAloneAndBeside(t *testing.T) {
	const chunk = 16
	lengths := []int{1, 2, 5, 16, 17, 31, 32, 33, 48, 300, 3, 64, 9, 20, 40, 7}
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			requests := make([]Request, 2*len(lengths))
			want := make([]*trace, len(requests))
			common := prompt(400, "common")
			for i := range requests {
				n := lengths[i%len(lengths)]
				p := prompt(n, fmt.Sprint(i))
				if i%2 == 0 { // begins as others do
					copy(p, common[:max(0, n-3)])
				}
				requests[i] = Request{Prompt: p, Tokens: 3 + i%5, Choice: i, Sampler: model.Sampler{Temperature: float64(i % 3), Seed: 2}}
				want[i] = alone(t, v, requests[i], chunk)
			}
			for _, bytes := range []int64{0, 60e3, 1 << 30} {
				b := mustNew(t, session(t, v, 16, 400), Options{Chunk: chunk, PrefixBytes: bytes})
				got, live := make([]*trace, len(requests)), map[int]*trace{}
				next, most := 0, 0
				for next < len(requests) || len(live) > 0 {
					for n := 0; n < 3 && next < len(requests); n++ { // three arrive in a step
						got[next] = &trace{}
						slot, err := b.Admit(got[next].record(requests[next]))
						if errors.Is(err, ErrFull) {
							break
						} else if err != nil {
							t.Fatal(err)
						}
						live[slot] = got[next]
						next++
					}
					most = max(most, len(live))
					step(t, b, live)
				}
				for i := range got {
					if !got[i].equal(want[i]) {
						t.Errorf("prefixes of %d bytes: request %d of %d tokens: other scores than alone", bytes, i, len(requests[i].Prompt))
					}
				}
				if most < 12 {
					t.Errorf("at most %d sequences were live: the test shows little", most)
				}
			}
		})
	}
}

// TestEachNumberOfRows: from 1 to 16 live sequences.
func TestEachNumberOfRows(t *testing.T) {
	for _, v := range variants {
		r := Request{Prompt: prompt(20, "a"), Tokens: 4}
		want := alone(t, v, r, 0)
		s := session(t, v, 16, 400)
		for n := 1; n <= 16; n++ {
			b, x := mustNew(t, s, Options{}), &trace{}
			live := map[int]*trace{}
			for i := range n - 1 {
				live[mustAdmit(t, b, Request{Prompt: prompt(5+i, "other"), Tokens: 40})] = &trace{}
			}
			for range n - 1 {
				step(t, b, live)
			}
			slot := mustAdmit(t, b, x.record(r))
			live[slot] = x
			for live[slot] != nil {
				step(t, b, live)
			}
			if !x.equal(want) {
				t.Errorf("%s: beside %d others: other scores than alone", v, n-1)
			}
		}
	}
}

// TestFork: a fork goes on from the same state with draws of its own, which its slot does not matter for.
func TestFork(t *testing.T) {
	for _, v := range variants {
		for _, temperature := range []float64{0, 1} {
			s := session(t, v, 4, 400)
			run := func(occupied int) (first, second *trace) {
				b := mustNew(t, s, Options{Chunk: 16})
				live := map[int]*trace{}
				for range occupied {
					live[mustAdmit(t, b, Request{Prompt: prompt(3, "x"), Tokens: 99})] = &trace{}
				}
				first, second = &trace{}, &trace{}
				from := mustAdmit(t, b, Request{Prompt: prompt(37, "a"), Tokens: 12, Sampler: model.Sampler{Temperature: temperature, Seed: 3}})
				live[from] = first
				for len(first.tokens) < 3 {
					step(t, b, live)
				}
				to, err := b.Fork(from, 1)
				if err != nil {
					t.Fatal(err)
				}
				second.tokens = slices.Clone(first.tokens)
				live[to] = second
				for live[from] != nil || live[to] != nil {
					step(t, b, live)
				}
				return first, second
			}
			first, second := run(0)
			if (temperature == 0) != slices.Equal(first.tokens, second.tokens) || len(second.tokens) != 12 {
				t.Errorf("%s, temperature %g: %v and its fork %v", v, temperature, first.tokens, second.tokens)
			}
			again, other := run(2)
			if !slices.Equal(again.tokens, first.tokens) || !slices.Equal(other.tokens, second.tokens) {
				t.Errorf("%s, temperature %g: in other slots %v and %v, before %v and %v", v, temperature, again.tokens, other.tokens, first.tokens, second.tokens)
			}
		}
	}
}

// TestGenerate: the tokens are those of a forward pass over the whole text for each of them, of every kind of attention.
func TestGenerate(t *testing.T) {
	for _, v := range variants {
		v.int8Cache = false // which rounds
		s := session(t, v, 1, 1)
		prompts := [][]int{prompt(3, "a"), prompt(defaultChunk+9, "b"), prompt(1, "c"), prompt(defaultChunk, "d")}
		got := make([][]int, len(prompts))
		if err := Generate(context.Background(), s, prompts, Request{Tokens: 5}, func(i, token int) error {
			got[i] = append(got[i], token)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i, text := range prompts {
			for n := range got[i] {
				p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(text)}, "logits")
				if err != nil {
					t.Fatal(err)
				}
				p.Feed(map[string][]int{"tokens": text})
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				scores := p.Output("logits").Row(make([]float32, vocab), len(text)-1)
				if want := slices.Index(scores, slices.Max(scores)); got[i][n] != want {
					t.Errorf("%s: prompt %d: token %d is %d, want %d", v, i, n, got[i][n], want)
					break
				}
				text = append(slices.Clone(text), got[i][n])
			}
		}
	}
}

// TestLogprobs: of the token and of the likeliest ones.
func TestLogprobs(t *testing.T) {
	p, likely := Logprobs([]float64{0, math.Log(3), math.Log(2), math.Log(2)}, 2, 3)
	want := []Candidate{{1, math.Log(3. / 8)}, {2, math.Log(0.25)}, {3, math.Log(0.25)}}
	for i, c := range likely {
		if c.ID != want[i].ID || math.Abs(c.Logprob-want[i].Logprob) > 1e-12 {
			t.Errorf("likeliest %d: %v, want %v", i, c, want[i])
		}
	}
	if len(likely) != 3 || math.Abs(p-math.Log(0.25)) > 1e-12 {
		t.Errorf("%g, %v", p, likely)
	}
	b := mustNew(t, session(t, variants[0], 1, 50), Options{})
	mustAdmit(t, b, Request{Prompt: []int{1}, Tokens: 2, Logprobs: 2, Allow: func(_ []int, scores []float32) {
		for i := range scores {
			if i != 4 && i != 5 {
				scores[i] = float32(math.Inf(-1))
			}
		}
	}})
	tokens, err := b.Step(context.Background())
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%v, %v", tokens, err)
	}
	x := tokens[0]
	if x.ID != 4 && x.ID != 5 || len(x.Likely) != 2 || x.Logprob != x.Likely[0].Logprob || math.Abs(math.Exp(x.Likely[0].Logprob)+math.Exp(x.Likely[1].Logprob)-1) > 1e-6 {
		t.Errorf("of two allowed tokens: %+v", x)
	}
}

// TestRefuses what cannot be done.
func TestRefuses(t *testing.T) {
	b := mustNew(t, session(t, variants[0], 2, 20), Options{})
	for name, c := range map[string]struct {
		r    Request
		want string
	}{
		"no prompt": {Request{Tokens: 1}, "the prompt is empty"}, "no tokens": {Request{Prompt: []int{1}}, "want at least 1"},
		"too long": {Request{Prompt: make([]int, 15), Tokens: 6}, ErrTooLong.Error()}, "far too long": {Request{Prompt: []int{1}, Tokens: math.MaxInt}, ErrTooLong.Error()},
	} {
		if _, err := b.Admit(c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	r := Request{Prompt: make([]int, 15), Tokens: 5}
	mustAdmit(t, b, r)
	second := mustAdmit(t, b, r)
	if _, err := b.Admit(r); !errors.Is(err, ErrFull) {
		t.Errorf("a third in two slots: %v", err)
	}
	if _, err := b.Fork(0, 1); !errors.Is(err, ErrFull) {
		t.Errorf("a fork without a slot: %v", err)
	}
	b.Release(second)
	if again := mustAdmit(t, b, r); again != second {
		t.Errorf("slot %d, want %d, which was released", again, second)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Step(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a step after the end: %v", err)
	}
	cfg := encoder.Default()
	cfg.DModel, cfg.NLayer = 16, 1
	s, err := model.NewSession(model.Labels{Body: cfg, Text: model.Text{Vocab: 9, Length: 8}, Classes: 2}, nn.NewStore(tensor.Float32), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(s, Options{}); err == nil || !strings.Contains(err.Error(), "want a decoder") {
		t.Errorf("a classifier: %v", err)
	}
	learned := session(t, variant{"mha", "learned", "", false, false}, 1, 600)
	if _, err := New(learned, Options{}); err == nil || !strings.Contains(err.Error(), "learned positions end at 512") {
		t.Errorf("beyond the positions: %v", err)
	}
}

// TestStops: at a token, which Generate does not emit, and at an error of the caller.
func TestStops(t *testing.T) {
	s := session(t, variants[0], 1, 1)
	var free []int
	collect := func(to *[]int) func(_, token int) error {
		return func(_, token int) error { *to = append(*to, token); return nil }
	}
	ask := [][]int{{1, 2, 3}}
	sampler := model.Sampler{Temperature: 1, Seed: 4}
	if err := Generate(context.Background(), s, ask, Request{Tokens: 9, Sampler: sampler}, collect(&free)); err != nil || len(free) != 9 {
		t.Fatalf("%v, %v", free, err)
	}
	var got []int
	if err := Generate(context.Background(), s, ask, Request{Tokens: 9, Sampler: sampler, Stop: StopAt(free[4])}, collect(&got)); err != nil || !slices.Equal(got, free[:slices.Index(free, free[4])]) {
		t.Errorf("stopped at %d: %v of %v, %v", free[4], got, free, err)
	}
	full := errors.New("full")
	if err := Generate(context.Background(), s, ask, Request{Tokens: 9}, func(int, int) error { return full }); err != full {
		t.Errorf("the caller's error: %v", err)
	}
	s.Store().Get("model.norm.weight").Float32s()[3] = float32(math.NaN())
	if err := Generate(context.Background(), s, ask, Request{Tokens: 9}, collect(&got)); err == nil || !strings.Contains(err.Error(), "sequence 0: the score of token 0 is NaN: the weights are damaged") {
		t.Errorf("a damaged weight: %v", err)
	}
}
