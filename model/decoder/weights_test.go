package decoder

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
)

// TestAttentionWeights: rows sum to 1, and values weighed so and put together are what the layer gives.
func TestAttentionWeights(t *testing.T) {
	cfg := Default()
	cfg.DModel, cfg.NLayer, cfg.DFF = 24, 2, 30
	cfg.Attention.NHead, cfg.Attention.NKVHead = 4, 2
	cfg.Attention.OneOf = attention.As(attention.GQA{})
	store := nn.NewStore(tensor.Float32)
	s, err := model.NewSession(model.Language{Body: cfg, Text: model.Text{Vocab: 20, Length: 64}}, store, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		w := store.Get(name).Float32s()
		rng.FillNormal(rng.New(5, name, 0), w, 0.05, 0.25)
	}
	tokens := []int{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2}
	const layer, width = 1, 6
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(tokens)}, "model.layers.1.input_layernorm", "model.layers.1.self_attn")
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": tokens})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	in, want := p.Site("model.layers.1.input_layernorm"), p.Site("model.layers.1.self_attn")
	inputs, outputs := make([][]float64, len(tokens)), make([][]float64, len(tokens))
	for i := range tokens {
		for j := range 24 {
			inputs[i], outputs[i] = append(inputs[i], in.At(i, j)), append(outputs[i], want.At(i, j))
		}
	}
	v, o := store.DenseWeight("model.layers.1.self_attn.v_proj"), store.DenseWeight("model.layers.1.self_attn.o_proj")
	got := make([][]float64, len(tokens))
	for i := range got {
		got[i] = make([]float64, 24)
	}
	for head := range 4 {
		weights, err := cfg.AttentionWeights(s, tokens, layer, head)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range weights {
			sum := 0.0
			for j, w := range row {
				sum += w
				for c := range width {
					x := 0.0
					for d := range 24 {
						x += inputs[j][d] * v[(head/2*width+c)*24+d]
					}
					for d := range 24 {
						got[i][d] += w * x * o[d*24+head*width+c]
					}
				}
			}
			if len(row) != i+1 || math.Abs(sum-1) > 1e-12 {
				t.Fatalf("head %d, row %d: %d weights, sum %g", head, i, len(row), sum)
			}
		}
	}
	for i := range got {
		for d := range got[i] {
			if math.Abs(got[i][d]-outputs[i][d]) > 1e-5*(1+math.Abs(outputs[i][d])) {
				t.Fatalf("token %d, value %d: %g, want %g", i, d, got[i][d], outputs[i][d])
			}
		}
	}
	for _, bad := range [][2]int{{2, 0}, {-1, 0}, {0, 4}, {0, -1}} {
		if _, err := cfg.AttentionWeights(s, tokens, bad[0], bad[1]); err == nil {
			t.Errorf("layer %d, head %d", bad[0], bad[1])
		}
	}
}
