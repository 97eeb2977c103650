package decode

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
)

// vector is one of a site's width.
func vector(stream string, scale float64) []float32 {
	x := make([]float32, 48)
	rng.FillNormal(rng.New(7, stream, 0), x, 0, scale)
	return x
}

// TestSteer: what a request adds changes its own scores and nobody else's, which are equal to the last bit alone and beside
// others that are steered elsewhere, alike or not at all, with drafts and with prefixes that are kept of all of them.
func TestSteer(t *testing.T) {
	first, second := Addition{"model.layers.0.output", vector("a", 1)}, Addition{"model.layers.1.mlp", vector("b", 1)}
	for _, v := range []variant{{"mha", "rotary", "", false, false}, {"gqa", "learned", "int8", true, false}, {"mfa_kr", "rotary", "int4", true, false}} {
		var requests []Request
		for i, steer := range [][]Addition{nil, {first}, {second}, {first, second}, {{first.Site, vector("c", 1)}}, {first, first}, nil} {
			requests = append(requests, Request{Prompt: prompt(40, "same"), Tokens: 6, Steer: steer, Choice: i})
		}
		var want []*trace
		for _, r := range requests {
			want = append(want, alone(t, v, r, 16))
		}
		for i := range want {
			for j := range i {
				if alike := i == 6 && j == 0; want[i].equal(want[j]) != alike {
					t.Errorf("%s: requests %d and %d: equal %v", v, i, j, !alike)
				}
			}
		}
		b := mustNew(t, session(t, v, 4, 400), Options{Chunk: 16, PrefixBytes: 1 << 30})
		for round := range 2 { // the second time from prefixes
			got, live, next := make([]*trace, len(requests)), map[int]*trace{}, 0
			for next < len(requests) || len(live) > 0 {
				for next < len(requests) {
					got[next] = &trace{}
					r := requests[next]
					if round == 1 {
						r.Draft = guesses(want[next].tokens, 2, 3)
					}
					slot, err := b.Admit(got[next].record(r))
					if errors.Is(err, ErrFull) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
					live[slot] = got[next]
					next++
				}
				step(t, b, live)
			}
			for i := range got {
				if !got[i].equal(want[i]) {
					t.Errorf("%s, round %d: request %d: other scores than alone", v, round, i)
				}
			}
		}
	}
}

// TestSteerIsABias: what is added to the output of an MLP is as if its last layer had it as a bias.
func TestSteerIsABias(t *testing.T) {
	cfg := decoder.Default()
	cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Bias = 48, 2, 72, true
	scores := func(bias, added []float32) (x [][]float32) {
		store := nn.NewStore(tensor.Float32)
		s, err := model.NewSession(model.Language{Body: cfg, Text: model.Text{Vocab: vocab, Length: 64}}, store, model.Options{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		r := Request{Prompt: prompt(20, "a"), Tokens: 4, Allow: func(_ []int, scores []float32) { x = append(x, slices.Clone(scores)) }}
		if added != nil {
			r.Steer = []Addition{{"model.layers.1.mlp", added}}
		} else {
			copy(store.Get("model.layers.1.mlp.down_proj.bias").Float32s(), bias)
		}
		if err := Generate(context.Background(), s, [][]int{r.Prompt}, r, func(int, int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return x
	}
	a := vector("a", 0.3)
	want, got, plain := scores(a, nil), scores(nil, a), scores(nil, nil)
	var change float64
	for i := range want {
		for j, x := range want[i] {
			if d := math.Abs(float64(x - got[i][j])); d > 1e-4 {
				t.Fatalf("token %d: score %d is %g, with a bias %g", i, j, got[i][j], x)
			}
			change = max(change, math.Abs(float64(x-plain[i][j])))
		}
	}
	if change < 0.01 {
		t.Errorf("scores change by %g: the test shows little", change)
	}
}

// TestSteerRefuses: sites that there are not, vectors of another width and values that are no numbers; and values that make
// scores none end their own sequence only.
func TestSteerRefuses(t *testing.T) {
	v := variants[0]
	b := mustNew(t, session(t, v, 2, 60), Options{})
	r := Request{Prompt: prompt(5, "a"), Tokens: 5}
	for want, steer := range map[string][]Addition{
		`no such site: "model.layers.7.output"`:               {{"model.layers.7.output", vector("a", 1)}},
		`no such site: "model.layers.*.output"`:               {{"model.layers.*.output", vector("a", 1)}},
		`no such site: "model.layers.0.self_attn.q_proj"`:     {{"model.layers.0.self_attn.q_proj", vector("a", 1)}},
		"3 values to add to model.layers.0.mlp, which has 48": {{"model.layers.0.mlp", vector("a", 1)}, {"model.layers.0.mlp", make([]float32, 3)}},
		"not all values to add to model.layers.0.mlp are":     {{"model.layers.0.mlp", append(make([]float32, 47), float32(math.Inf(1)))}},
	} {
		r.Steer = steer
		if _, err := b.Admit(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
	want := alone(t, v, Request{Prompt: r.Prompt, Tokens: 5}, 0)
	r.Steer = []Addition{{"model.layers.1.output", slices.Repeat([]float32{math.MaxFloat32}, 48)}, {"model.layers.0.output", slices.Repeat([]float32{math.MaxFloat32}, 48)}}
	broken := mustAdmit(t, b, r)
	r.Steer = nil
	x := &trace{}
	slot, ended := mustAdmit(t, b, x.record(r)), 0
	for ended < 2 {
		out, err := b.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			if o.Finish != "" {
				ended++
			}
			if o.Slot == broken && (o.Finish != Broken || o.ID != -1) {
				t.Errorf("with the largest numbers added: %+v", o)
			}
			if o.Slot == slot {
				x.tokens = append(x.tokens, o.ID)
			}
		}
	}
	if !x.equal(want) {
		t.Error("beside a sequence without numbers: other scores than alone")
	}
}
