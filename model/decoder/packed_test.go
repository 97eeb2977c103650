package decoder

import (
	"context"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
)

// packedOf are two sessions of a variant whose linear layers are in few bits: in float32 as it is read from codes, and in the
// codes themselves.
func packedOf(t *testing.T, variant string, l nn.Rule, opts model.Options) (plain, packed *model.Session) {
	t.Helper()
	base := small(t, tensor.Float32, variant, opts)
	cfg, dims := configOf(base)
	l.Match = "model.layers.*"
	opts.Linear = []nn.Rule{l}
	var both [2]*model.Session
	for i := range both {
		opts.Packed = i == 1
		var err error
		if both[i], err = open(cfg, dims, nn.NewStore(tensor.Float32), opts); err != nil {
			t.Fatal(err)
		}
	}
	from, to := both[0].Store(), both[1].Store()
	for _, name := range from.Names() {
		w := from.Get(name).Float32s()
		for i := range w { // as after training: larger than at first
			w[i] *= 3
		}
		if to.InFewBits(name) {
			to.Codes(name).Quantize(w)
		}
		if err := from.Quantization(name).Round(w); err != nil {
			t.Fatal(err)
		}
		if !to.InFewBits(name) {
			copy(to.Get(name).Float32s(), w)
		}
	}
	return both[0], both[1]
}

// TestPackedScores: the scores of a network whose weights stay in few bits are those of float32, bit by bit: of whole texts,
// in batches too, and token by token from a cache.
func TestPackedScores(t *testing.T) {
	for _, variant := range []string{"mha", "gqa", "gpt2", "mla", "mfa_kr"} {
		for _, l := range []nn.Rule{
			{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}, {OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int4", QuantBlock: 32}}, {OneOf: nn.As(nn.LowRank{Rank: 9}), Storage: nn.Storage{Quantize: "int8", QuantBlock: 10}},
		} {
			t.Run(variant+"/"+l.Name+" "+l.Quantize, func(t *testing.T) {
				plain, packed := packedOf(t, variant, l, tapLogits)
				if p, q := plain.Store().Bytes(), packed.Store().Bytes(); q != packed.Store().StoredBytes() || q >= p {
					t.Errorf("%d bytes, want the %d that are stored and fewer than %d", q, packed.Store().StoredBytes(), p)
				}
				for _, n := range []int{1, 37} {
					text := tokensOf(n, "packed")
					if !slices.Equal(logitsOf(t, packed, text), logitsOf(t, plain, text)) {
						t.Errorf("scores of %d tokens differ", n)
					}
				}
				var texts [2][]int
				for i, s := range []*model.Session{plain, packed} {
					err := generate(context.Background(), s, [][]int{tokensOf(7, "a"), tokensOf(40, "b")}, GenerateOptions{Tokens: 20, Sampler: model.Sampler{Temperature: 1, Seed: 3}},
						func(_, token int) error { texts[i] = append(texts[i], token); return nil })
					if err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(texts[0], texts[1]) {
					t.Errorf("generated %v, want %v", texts[1], texts[0])
				}
			})
		}
	}
}

// TestPackedDoesNotTrain: a session is to be used or to be trained, and one over a store that was opened to be used says why
// it has no gradients.
func TestPackedDoesNotTrain(t *testing.T) {
	rule := nn.Rule{Match: "model.layers.*", OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}
	_, packed := packedOf(t, "mha", rule, model.Options{})
	rules := []nn.Rule{rule}
	store := packed.Store()
	if _, err := again(packed, store, model.Options{Linear: rules, Packed: true, Sink: nn.NewGradients(store)}); err == nil || !strings.Contains(err.Error(), "cannot train") {
		t.Errorf("%v, want cannot train", err)
	}
	if _, err := again(packed, store, model.Options{Linear: rules, Int8: true, Sink: nn.NewGradients(store)}); err == nil || !strings.Contains(err.Error(), "computes in 8 bits cannot train") {
		t.Errorf("%v, want cannot train", err)
	}
	s, err := again(packed, store, model.Options{Linear: rules, Sink: nn.NewGradients(store)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Program(model.Train, model.Shape{Rows: 2, Length: 5}); err == nil || !strings.Contains(err.Error(), "quantized_linear has no gradient") {
		t.Errorf("%v, want no gradient", err)
	}
}
