package nn_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

// arraysOf are a store's arrays as a checkpoint holds them.
func arraysOf(s *nn.Store) map[string]nn.Array {
	all := map[string]nn.Array{}
	codes := func(name string, x []uint8, scales []float32) {
		all[name+".codes"], all[name+".absmax"] = nn.Array{Shape: []int{len(x)}, Data: x}, nn.Array{Shape: []int{len(scales)}, Data: scales}
	}
	for _, name := range s.Names() {
		if s.Quantization(name).Bits > 0 {
			q := s.Codes(name)
			codes(name, q.Codes, q.AbsMax)
			continue
		}
		all[name] = nn.Array{Shape: s.Shape(name), Data: s.Get(name).Data()}
	}
	for _, name := range s.IndexNames() {
		all[name] = nn.Array{Shape: []int{len(s.Index(name))}, Data: s.Index(name)}
	}
	for _, name := range s.AtomNames() {
		all[name] = nn.Array{Shape: []int{s.Atoms(name).PackedLen()}, Data: s.Atoms(name).Pack()}
	}
	for _, name := range s.BaseNames() {
		if b := s.Base(name); b.Stored.Bits > 0 {
			codes(name, b.Codes.Codes, b.Codes.AbsMax)
		} else {
			all[name] = nn.Array{Shape: []int{b.Out, b.In}, Data: b.Weight.Data()}
		}
	}
	return all
}

// declared is the store of factored without memory, to be filled, and what completes it.
func declared(cfg nn.Rule, packed bool, in, out int) (store *nn.Store, complete func()) {
	store = nn.NewStore(tensor.Float32)
	cfg.Match = "*"
	complete = func() {
		build(store, nn.Options{Seed: 3, Linear: []nn.Rule{cfg}}, func(b *nn.Builder) {
			nn.NewLinear(b.Sub("layer"), in, out, true, nn.Normal(0.02))
		})
	}
	store.Packed, store.Virtual = packed, true
	complete()
	store.Virtual = false
	return store, complete
}

// fillCases are each kind of layer, in each storage.
func fillCases() map[string]nn.Rule {
	cases := map[string]nn.Rule{}
	for _, k := range []nn.Kind{
		nn.Dense{}, nn.LowRank{Rank: 3}, nn.SLTrain{Rank: 3, Density: 0.2, TrainScale: true}, nn.DenseSparse{Block: 4, Atoms: 8, Nonzeros: []int{2}},
	} {
		for _, bits := range []string{"", "int8", "int4"} {
			cases[fmt.Sprintf("%T %s", k, bits)] = nn.Rule{OneOf: nn.As(k), Storage: nn.Storage{Quantize: bits}}
		}
	}
	for _, keep := range []string{"float32", "int8", "int4"} {
		cases["lora on "+keep] = nn.Rule{OneOf: nn.As(nn.LoRA{Rank: 3, Alpha: 6, Keep: keep})}
	}
	return cases
}

// TestFill: a declared store that is filled with another's arrays is that store, in whose memory it is where nothing is to
// be unpacked; what is missing is drawn as if nothing had been filled.
func TestFill(t *testing.T) {
	const in, out = 24, 20
	for name, cfg := range fillCases() {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, packed %v", name, packed), func(t *testing.T) {
				want := factored(cfg, 3, tensor.Float32, in, out, true)
				for _, name := range want.Names() { // away from the first values, and as they are stored
					w := want.Get(name).Float32s()
					for i := range w {
						w[i] += 0.1 * float32(math.Sin(float64(i)))
					}
					if err := want.Quantization(name).Round(w); err != nil {
						t.Fatal(err)
					}
				}
				arrays := arraysOf(want)
				arrays["nobody's"] = nn.Array{Shape: []int{1}, Data: []float32{1}}
				store, complete := declared(cfg, packed, in, out)
				missing, unused, err := store.Fill(arrays)
				if err != nil || len(missing) > 0 || !slices.Equal(unused, []string{"nobody's"}) {
					t.Fatalf("missing %q, unused %q, %v", missing, unused, err)
				}
				complete()
				delete(arrays, "nobody's")
				same(t, arraysOf(store), arrays)
				for _, name := range store.Names() {
					if store.Quantization(name).Bits == 0 && &store.Get(name).Float32s()[0] != &want.Get(name).Float32s()[0] {
						t.Errorf("%s is a copy", name)
					}
				}
				if _, _, err := store.Fill(arrays); err == nil || !strings.Contains(err.Error(), "before the first session") {
					t.Errorf("filled again: %v", err)
				}

				fresh, drawn := declared(cfg, packed, in, out)
				drawn()
				first := arraysOf(fresh)
				for _, out := range slices.Sorted(maps.Keys(arrays)) {
					part := maps.Clone(arrays)
					delete(part, out)
					value := strings.TrimSuffix(strings.TrimSuffix(out, ".codes"), ".absmax")
					delete(part, value+".codes")
					delete(part, value+".absmax")
					store, complete := declared(cfg, packed, 24, 20)
					missing, _, err := store.Fill(part)
					if err != nil || !slices.Equal(missing, []string{value}) {
						t.Fatalf("without %s: missing %q, %v", out, missing, err)
					}
					complete()
					got := arraysOf(store)
					same(t, map[string]nn.Array{out: got[out]}, map[string]nn.Array{out: first[out]})
				}
			})
		}
	}
}

func same(t *testing.T, got, want map[string]nn.Array) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d arrays, want %d", len(got), len(want))
	}
	for name := range want {
		if !slices.Equal(got[name].Shape, want[name].Shape) || fmt.Sprint(got[name].Data) != fmt.Sprint(want[name].Data) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestFillRounds: values of layers that are stored in few bits become those that come back once they were stored, whether or
// not the store keeps the bits, and the caller's stay as they are.
func TestFillRounds(t *testing.T) {
	cfg := nn.Rule{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int4"}}
	values := drawn("values", 24*20)
	kept := slices.Clone(values)
	arrays := map[string]nn.Array{"layer.weight": {Shape: []int{20, 24}, Data: values}, "layer.bias": {Shape: []int{20}, Data: make([]float32, 20)}}
	rounded := slices.Clone(values)
	for _, packed := range []bool{false, true} {
		store, complete := declared(cfg, packed, 24, 20)
		if _, _, err := store.Fill(arrays); err != nil {
			t.Fatal(err)
		}
		complete()
		if !packed {
			if err := store.Quantization("layer.weight").Round(rounded); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(store.Get("layer.weight").Float32s(), rounded) {
				t.Error("values are not rounded")
			}
		} else if !slices.Equal(store.DenseWeight("layer"), float64sOf(rounded)) {
			t.Error("codes stand for other values")
		}
	}
	if !slices.Equal(values, kept) {
		t.Error("the caller's values have changed")
	}
}

func float64sOf(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// TestFillRefuses values that no layer can have; arrays of another shape or type are missing.
func TestFillRefuses(t *testing.T) {
	nan := slices.Repeat([]float32{float32(math.NaN())}, 480)
	for name, c := range map[string]struct {
		cfg    nn.Rule
		damage func(map[string]nn.Array)
		want   string
	}{
		"codes": {nn.Rule{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}, func(a map[string]nn.Array) { a["layer.weight.codes"].Data.([]uint8)[2] = 0 }, "layer.weight: code 2 is 0"},
		"not finite": {nn.Rule{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}, func(a map[string]nn.Array) {
			delete(a, "layer.weight.codes")
			a["layer.weight"] = nn.Array{Shape: []int{20, 24}, Data: nan}
		}, "not all finite"},
		"places": {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.2})}, func(a map[string]nn.Array) {
			for name, x := range a {
				if index, ok := x.Data.([]int32); ok {
					a[name] = nn.Array{Shape: x.Shape, Data: append([]int32{index[1]}, index[1:]...)}
				}
			}
		}, "want ascending numbers"},
		"base": {nn.Rule{OneOf: nn.As(nn.LoRA{Rank: 3, Alpha: 6, Keep: "float32"})}, func(a map[string]nn.Array) { a["layer.weight"] = nn.Array{Shape: []int{20, 24}, Data: nan} }, "not all finite"},
	} {
		t.Run(name, func(t *testing.T) {
			arrays := arraysOf(factored(c.cfg, 3, tensor.Float32, 24, 20, true))
			c.damage(arrays)
			store, _ := declared(c.cfg, false, 24, 20)
			if _, _, err := store.Fill(arrays); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	store, _ := declared(nn.Rule{OneOf: nn.As(nn.Dense{})}, false, 24, 20)
	missing, unused, err := store.Fill(map[string]nn.Array{
		"layer.weight": {Shape: []int{24, 20}, Data: make([]float32, 480)}, "layer.bias": {Shape: []int{20}, Data: make([]float64, 20)},
	})
	if both := []string{"layer.bias", "layer.weight"}; err != nil || !slices.Equal(missing, both) || !slices.Equal(unused, both) {
		t.Errorf("missing %q, unused %q, %v", missing, unused, err)
	}
}
