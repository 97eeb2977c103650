package attention_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/op"
)

// TestMFAGolden: outputs and gradients of MFA, MFA-KR and MLA are PyTorch's, with
// parameters of the same names.
func TestMFAGolden(t *testing.T) {
	const tol = 1e-11 // of the largest: float64 rounding in another order
	factors := attention.Factors{QRank: 10, InterNorm: true}
	layers := []attention.Config{
		attention.Of(attention.MFA{Factors: factors}, attention.Heads{NHead: 3, HeadDim: 8}),
		attention.Of(attention.MFAKR{Factors: factors}, attention.Heads{NHead: 3, HeadDim: 8}),
		attention.Of(attention.MLA{VHeadDim: 6, KVRank: 9, RopeDim: 4}, attention.Heads{NHead: 3, HeadDim: 5}),
	}
	f, err := npz.Open(filepath.Join("testdata", "mfa.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(key string) (v []float64) {
		if err := f.Read(key, &v); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		return v
	}
	for _, cfg := range layers {
		kind := cfg.Name
		t.Run(kind, func(t *testing.T) {
			const batch, seqLen, width = 2, 7, 12
			var rows []int32
			if err := f.Read(kind+".targets.npy", &rows); err != nil {
				t.Fatal(err)
			}
			targets, places := make([]int, len(rows)), make([]int, len(rows))
			for i, r := range rows {
				targets[i], places[i] = int(r), i%seqLen
			}
			store := nn.NewStore(tensor.Float64)
			grads := nn.NewGradients(store)
			tape := op.NewTape(tensor.Float64, true)
			b := nn.NewBuilder(tape, store, nn.Options{Sink: grads})
			ints := func(v []int) *tensor.Dense {
				return tensor.New(tensor.WithBacking(v), tensor.WithShape(len(v)))
			}
			x := op.Value(b.Weight("x", nn.Normal(1), batch*seqLen, width).Use())
			y := attention.New(b, attention.LayerConfig{
				Config: cfg, DModel: width, Causal: true, Eps: 1e-5, Rotary: op.NewRotaryTable(cfg.RotaryDim(width), seqLen, 10000, tensor.Float64),
			}).Forward(x, nn.SeqInfo{Batch: batch, SeqLen: seqLen, Positions: tape.Input("positions", ints(places))}, 0)
			loss := op.CrossEntropy(tape, y, tape.Input("targets", ints(targets)))
			if err := tape.Backward(loss); err != nil {
				t.Fatal(err)
			}
			golden := 0
			for _, key := range f.Keys() {
				if strings.HasPrefix(key, kind+".grad.") {
					golden++
				}
			}
			if names := store.Names(); len(names) != golden {
				t.Fatalf("parameters %v, PyTorch's layer has %d", names, golden)
			}
			for _, name := range store.Names() {
				copy(store.Get(name).Float64s(), read(kind+"."+name+".npy"))
			}
			run(t, tape, y, loss)
			close := func(what string, got, want []float64) {
				t.Helper()
				var top float64
				for _, v := range want {
					top = max(top, math.Abs(v))
				}
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= tol*top) {
						t.Errorf("%s[%d] = %.15g, by PyTorch %.15g", what, i, got[i], want[i])
						return
					}
				}
			}
			close("y", y.Value().(*tensor.Dense).Float64s(), read(kind+".y.npy"))
			for _, name := range store.Names() {
				close("gradient of "+name, grads.Get(name).Float64s(), read(kind+".grad."+name+".npy"))
			}
		})
	}
}
