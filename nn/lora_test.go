package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/nn"
	"sparrow/op"
)

// loraLayer builds one layer [out, in] without a bias over its input x [n, in],
// and its loss's gradients.
func loraLayer(t *testing.T, store *nn.Store, cfg nn.Rule, grads op.Sink, x []float32, in, out int) *G.Node {
	t.Helper()
	cfg.Match = "*"
	tape := op.NewTape(store.Dtype, true)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 4, Linear: []nn.Rule{cfg}, Sink: grads})
	n := len(x) / in
	input := tape.Input("x", tensor.New(tensor.WithShape(n, in), tensor.WithBacking(x)))
	y := nn.NewLinear(b.Sub("layer"), in, out, false, nn.Normal(0.3)).Forward(input)
	loss := op.CrossEntropy(tape, y, tape.Input("targets", tensor.New(tensor.Of(tensor.Int), tensor.WithShape(n))))
	if err := tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	plan, err := tape.Plan(true, y, loss)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&op.Arena{})
	if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
		t.Fatal(err)
	}
	return y
}

func drawn(stream string, n int) []float32 {
	x := make([]float32, n)
	rng.FillNormal(rng.New(7, stream, 0), x, 0, 1)
	return x
}

// TestLoRABase: the base is no parameter, gets no gradient and takes the memory
// that its form needs; A starts within 1/sqrt(in), B at zero.
func TestLoRABase(t *testing.T) {
	const in, out, rank = 30, 20, 3
	for base, bytes := range map[string]int{"float32": 4 * in * out, "int8": in*out + 4*3} {
		t.Run(base, func(t *testing.T) {
			cfg := nn.Rule{OneOf: nn.As(nn.LoRA{Rank: rank, Alpha: 6, Keep: base})}
			store := nn.NewStore(tensor.Float32)
			grads := nn.NewGradients(store)
			loraLayer(t, store, cfg, grads, drawn("x", 5*in), in, out)
			want := []string{"layer.down.weight", "layer.up.weight"}
			if got := store.Names(); !slices.Equal(got, want) {
				t.Errorf("parameters %q, want %q", got, want)
			}
			if got := grads.Names(); !slices.Equal(got, want) {
				t.Errorf("gradients of %q, want %q", got, want)
			}
			if got := store.BaseNames(); !slices.Equal(got, []string{"layer.weight"}) {
				t.Errorf("bases %q, want layer.weight", got)
			}
			l := store.Layer("layer")
			if store.BaseBytes() != bytes || l.BaseBytes(store.Dtype) != bytes || store.BaseParameters() != in*out || l.Parameters() != rank*(in+out) {
				t.Errorf("base of %d bytes (%d by shape) and %d values, %d parameters; want %d, %d, %d", store.BaseBytes(), l.BaseBytes(store.Dtype),
					store.BaseParameters(), l.Parameters(), bytes, in*out, rank*(in+out))
			}
			down, up := store.Get("layer.down.weight").Float32s(), store.Get("layer.up.weight").Float32s()
			var top float64
			for _, x := range down {
				top = max(top, math.Abs(float64(x)))
			}
			if limit := 1 / math.Sqrt(in); top > limit || top < 0.9*limit {
				t.Errorf("A reaches %g, want nearly %g", top, limit)
			}
			if slices.ContainsFunc(up, func(x float32) bool { return x != 0 }) {
				t.Error("B does not start at zero")
			}
		})
	}
}

// TestLoRAInt8Bound: outputs on an 8-bit base are within sum_j |x_j| a_j / 254 of
// those on the same base in float32, a_j being the largest weight of the block
// that w_ij is in.
func TestLoRAInt8Bound(t *testing.T) {
	const n, in, out = 9, 70, 41
	x, w := drawn("x", n*in), drawn("w", out*in)
	outputs := map[string][]float32{}
	var absMax []float32
	for _, base := range []string{"float32", "int8"} {
		cfg := nn.Rule{OneOf: nn.As(nn.LoRA{Rank: 2, Keep: base})}
		store := nn.NewStore(tensor.Float32)
		loraLayer(t, store, cfg, nn.NewGradients(store), x, in, out) // makes the parameters
		if err := store.Base("layer.weight").Set(w); err != nil {
			t.Fatal(err)
		}
		outputs[base] = loraLayer(t, store, cfg, nn.NewGradients(store), x, in, out).Value().(*tensor.Dense).Float32s()
		absMax = store.Base("layer.weight").Codes.AbsMax
	}
	const rounding = 1e-4 // of sums of 70 products in float32
	var worst, differs float64
	for t0 := range n {
		for i := range out {
			bound := rounding
			for j := range in {
				bound += math.Abs(float64(x[t0*in+j])) * float64(absMax[(i*in+j)/256]) / 254
			}
			diff := math.Abs(float64(outputs["int8"][t0*out+i]) - float64(outputs["float32"][t0*out+i]))
			worst, differs = max(worst, diff/bound), max(differs, diff)
		}
	}
	t.Logf("largest difference %.3g, at most %.2f of the bound", differs, worst)
	if worst > 1 || differs == 0 {
		t.Errorf("difference is %.2f of the bound, at most %g; want it below 1 and not 0", worst, differs)
	}
}

// TestLoRASet: a base takes finite weights of its own number only.
func TestLoRASet(t *testing.T) {
	for _, base := range []string{"float32", "int8"} {
		store := nn.NewStore(tensor.Float32)
		loraLayer(t, store, nn.Rule{OneOf: nn.As(nn.LoRA{Rank: 1, Keep: base})}, nn.NewGradients(store), drawn("x", 6), 3, 4)
		b := store.Base("layer.weight")
		if err := b.Set(make([]float32, 11)); err == nil || !strings.Contains(err.Error(), "a base of 11 weights, want 12") {
			t.Errorf("%s: 11 weights of 12: %v", base, err)
		}
		if err := b.Set([]float32{11: float32(math.Inf(1))}); err == nil || !strings.Contains(err.Error(), "not all finite") {
			t.Errorf("%s: an infinite weight: %v", base, err)
		}
	}
}

// TestLoRAMerges: the folded weight is W0 + alpha/R B A, entry by entry.
func TestLoRAMerges(t *testing.T) {
	const in, out, rank = 7, 5, 2
	for _, base := range []string{"float32", "int8"} {
		t.Run(base, func(t *testing.T) {
			store := nn.NewStore(tensor.Float32)
			loraLayer(t, store, nn.Rule{OneOf: nn.As(nn.LoRA{Rank: rank, Alpha: 6, Keep: base})}, nn.NewGradients(store), drawn("x", 3*in), in, out)
			up, down := store.Get("layer.up.weight").Float32s(), store.Get("layer.down.weight").Float32s()
			copy(up, drawn("up", len(up)))
			b := store.Base("layer.weight")
			dense := store.Dense()
			if got := fmt.Sprint(dense.Names(), dense.BaseNames()); got != "[layer.weight] []" {
				t.Fatalf("folded store has %s, want layer.weight only", got)
			}
			for i, got := range dense.Get("layer.weight").Float32s() {
				var want float64
				if base == "int8" {
					want = float64(int(b.Codes.Codes[i])-128) * (float64(b.Codes.AbsMax[i/256]) / 127)
				} else {
					want = float64(b.Weight.Float32s()[i])
				}
				for k := range rank {
					want += 3 * float64(up[i/in*rank+k]) * float64(down[k*in+i%in])
				}
				if math.Abs(float64(got)-want) > 1e-6 {
					t.Fatalf("W[%d] = %g, want %g", i, got, want)
				}
			}
		})
	}
}
