package compress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sparrow/factor"
	"sparrow/nn"
	"sparrow/task"
)

// dsformerSettings are those of small layers.
func dsformerSettings(change func(*DSFormerConfig)) Settings {
	cfg := DefaultConfig().Compress
	cfg.Method, cfg.Ratio = "dsformer", 0.5
	cfg.DSFormer.Block, cfg.DSFormer.Atoms, cfg.DSFormer.Sweeps = 8, []int{10}, 4
	if change != nil {
		change(&cfg.DSFormer)
	}
	return cfg
}

// layouts are the ways to cut a matrix and to weigh its errors.
var layouts = map[string]func(*DSFormerConfig){
	"shared":            nil,
	"shared, plain":     func(c *DSFormerConfig) { c.Weights = "none" },
	"shared, outputs":   func(c *DSFormerConfig) { c.Axis = "out" },
	"each block":        func(c *DSFormerConfig) { c.Shared, c.Atoms = false, []int{4} },
	"each, outputs":     func(c *DSFormerConfig) { c.Shared, c.Axis, c.Atoms = false, "out", []int{3} },
	"one atom":          func(c *DSFormerConfig) { c.Atoms = []int{1} },
	"a range":           func(c *DSFormerConfig) { c.Nonzeros = []int{2, 3} },
	"several, no sweep": func(c *DSFormerConfig) { c.Atoms, c.Sweeps = []int{8, 16, 5}, 0 },
}

// TestDSFormerPredictsWhatIsStored: for each layout and each option, the predicted loss is the measure of the error of the
// stored factors, sizes are those of the file, every vector has exactly its atoms, and options differ by one nonzero of one
// block, the last of which would not fit.
func TestDSFormerPredictsWhatIsStored(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(4, 2))
	target := Target{Name: "x", Out: 24, In: 32}
	w, s := randomMatrix(r, target.Out, target.In), randomStatistics(r, target.Out, target.In)
	for name, change := range layouts {
		cfg := dsformerSettings(change)
		m := tried{"dsformer", cfg}
		options, _, err := m.options(ctx, target, w, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(options) < 2 || options[len(options)-1].Method != "dense" {
			t.Fatalf("%s: %d options, the last %v", name, len(options), options[len(options)-1])
		}
		for i, o := range options[:len(options)-1] {
			form, err := m.apply(ctx, target, w, s, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := importanceOf(w, s).quality(w, form.product(target)); !near(got.Loss, o.Loss, 1e-4, 1e-9) {
				t.Errorf("%s: %s: stored loss %g, predicted %g", name, o.Describe(), got.Loss, o.Loss)
			}
			stored := Size{}
			for _, a := range form.Arrays {
				if v, ok := a.Data.([]float32); ok {
					stored = Size{stored.Params + len(v), stored.Bytes + valueBytes*len(v)}
				}
			}
			layer := nn.Layer{Out: target.Out, In: target.In, Rule: form.Linear}
			stored.Bytes += layer.IndexBytes()
			if stored != (Size{o.Params, o.Bytes}) || o.Bytes >= valueBytes*target.DenseParams() || i > 0 && o.Bytes <= options[i-1].Bytes {
				t.Errorf("%s: %s: stored are %+v, the option says %d, %d; dense are %d", name, o.Describe(), stored, o.Params, o.Bytes, valueBytes*target.DenseParams())
			}
			if i > 0 && len(cfg.DSFormer.Atoms) == 1 && o.Nonzeros != options[i-1].Nonzeros+1 {
				t.Errorf("%s: %d nonzeros after %d", name, o.Nonzeros, options[i-1].Nonzeros)
			}
			occupied(t, form, layer)
		}
	}
}

// occupied checks that every vector of a block has exactly the block's number of different atoms, ascending.
func occupied(t *testing.T, f *Form, l nn.Layer) {
	t.Helper()
	index, vectors := f.Arrays[2].Data.([]uint8), f.Arrays[2].Shape[1]
	kind := l.Rule.Of.(nn.DenseSparse)
	for g, s := range kind.BlockNonzeros(l.In, l.Out) {
		for i := range vectors {
			for n := range s {
				k := index[n*vectors+i]
				if int(k) >= kind.Atoms || n > 0 && k <= index[(n-1)*vectors+i] {
					t.Fatalf("block %d, vector %d has atom %d at place %d of %d", g, i, k, n, s)
				}
			}
		}
		index = index[s*vectors:]
	}
	if len(index) > 0 {
		t.Fatalf("%d indices belong to no block", len(index))
	}
}

// TestStoredFormIsTheTrainedOne: the layers of the network that is trained compute with the factors as they are stored.
func TestStoredFormIsTheTrainedOne(t *testing.T) {
	ctx := context.Background()
	for name, change := range layouts {
		cfg := configOf(t, trainedRun(t), "dsformer", 0.4)
		cfg.Compress.DSFormer = dsformerSettings(change).DSFormer
		cfg.Compress.DSFormer.Weights = "none"
		s := mustOpen(t, cfg)
		forms, chosen := map[string]*Form{}, map[string]nn.Rule{}
		for _, target := range s.targets {
			loaded, err := target.of(s.loaded.Session.Store())
			if err != nil {
				t.Fatal(err)
			}
			w := loaded.Weight
			m := tried{"dsformer", cfg.Compress}
			options, _, err := m.options(ctx, target, w, &Statistics{})
			if err != nil {
				t.Fatal(err)
			}
			if o := options[(len(options)-1)/2]; o.Method != "dense" { // no such factors may be smaller than so small a matrix
				if forms[target.Name], err = m.apply(ctx, target, w, &Statistics{}, o); err != nil {
					t.Fatal(err)
				}
				chosen[target.Name] = forms[target.Name].Linear
			}
		}
		old := s.loaded.Session.Store()
		store, err := s.assemble(s.loaded.Session.Store(), represented(s.loaded.Config.Model, old, chosen), forms)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(store.AtomNames()) == 0 || len(store.AtomNames()) != len(forms) {
			t.Errorf("%s: %d layers have indices, want %d", name, len(store.AtomNames()), len(forms))
		}
		for _, target := range s.targets {
			if forms[target.Name] == nil {
				continue
			}
			want := forms[target.Name].product(target)
			for i, x := range store.DenseWeight(target.Name) {
				if math.Abs(x-want.Data[i]) > 1e-6 {
					t.Fatalf("%s: weight %d of %s is %g in the layer, %g in the form", name, i, target.Name, x, want.Data[i])
				}
			}
		}
	}
}

// TestDSFormerAgainstLowRank: at equal bytes, indices counted, factors of a matrix of independent normal numbers, which has
// no low rank at all, are nearer than SVD's; and coding under Fisher weights lowers the weighted loss.
func TestDSFormerAgainstLowRank(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(9, 2))
	target := Target{Name: "x", Out: 256, In: 64}
	w := randomMatrix(r, target.Out, target.In)
	least := func(method string, cfg Settings, s *Statistics, share float64) float64 {
		options, _, err := tried{method, cfg}.options(ctx, target, w, s)
		if err != nil {
			t.Fatal(err)
		}
		loss := math.Inf(1)
		for _, o := range options {
			if float64(o.Bytes) <= share*float64(valueBytes*target.DenseParams()) {
				loss = min(loss, o.Loss)
			}
		}
		return loss
	}
	cfg := dsformerSettings(func(c *DSFormerConfig) { c.Block, c.Atoms, c.Weights = 16, []int{32, 64}, "none" })
	for _, share := range []float64{0.5, 0.36} {
		sparse, low := least("dsformer", cfg, &Statistics{}, share), least("svd", cfg, &Statistics{}, share)
		if t.Logf("%.2f of the bytes: squared relative error %.4f, svd %.4f", share, sparse, low); sparse > 0.85*low {
			t.Errorf("%.2f of the bytes: squared relative error %g, want less than 0.85 of svd's %g", share, sparse, low)
		}
	}
	s := randomStatistics(r, target.Out, target.In)
	plain := least("dsformer", cfg, s, 0.5)
	cfg.DSFormer.Weights = "fisher"
	if weighted := least("dsformer", cfg, s, 0.5); weighted > 0.9*plain {
		t.Errorf("weighted loss %g, want less than 0.9 of that without weights, %g", weighted, plain)
	}
}

// TestDSFormerWithinBudgets: planned from real options, alone and beside low rank, for many budgets of both units no budget
// is exceeded and no step of any layer still fits.
func TestDSFormerWithinBudgets(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(1, 3))
	for _, method := range []string{"dsformer", "auto"} {
		for _, unit := range []string{"bytes", "params"} {
			cfg := dsformerSettings(func(c *DSFormerConfig) { c.Atoms = []int{6, 9, 16} })
			if unit == "params" {
				cfg.Ratio, cfg.Params = 0, 1
			}
			b := Budget{Unit: unit}
			var options [][]Option
			for _, shape := range [][2]int{{24, 32}, {32, 16}, {40, 24}} {
				target := Target{Name: "x", Out: shape[0], In: shape[1]}
				w, s := randomMatrix(r, target.Out, target.In), randomStatistics(r, target.Out, target.In)
				o, _, err := tried{method, cfg}.options(ctx, target, w, s)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.IsSortedFunc(o, func(x, y Option) int { return b.cost(x) - b.cost(y) }) {
					t.Errorf("%s: options are not in the order of %s", method, unit)
				}
				options = append(options, o)
				b.Dense += b.cost(o[len(o)-1])
			}
			for percent := 45; percent <= 100; percent++ {
				b.Limit = b.Dense * percent / 100
				for _, uniform := range []bool{false, true} {
					chosen, err := allocate(options, b, uniform)
					if err != nil {
						t.Fatal(err)
					}
					left := b.Limit
					for l, i := range chosen {
						left -= b.cost(options[l][i])
					}
					if left < 0 {
						t.Errorf("%s: %d %s more than the budget of %d", method, -left, unit, b.Limit)
					}
					for l, i := range chosen {
						if i+1 < len(options[l]) && b.cost(options[l][i+1])-b.cost(options[l][i]) <= left {
							t.Errorf("%s, %d%% of %s, uniform %t: a step of layer %d fits into the %d left", method, percent, unit, uniform, l, left)
						}
					}
				}
			}
		}
	}
}

// TestHostileMatrices: matrices that are zero, constant, of extreme size or have parts that never mattered become factors
// whose error is finite and as predicted.
func TestHostileMatrices(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(8, 2))
	target := Target{Name: "x", Out: 24, In: 32}
	changes := map[string]func(w *factor.Matrix, s *Statistics){
		"zero":          func(w *factor.Matrix, _ *Statistics) { clear(w.Data) },
		"one value":     func(w *factor.Matrix, _ *Statistics) { clear(w.Data); w.Data[77] = 3 },
		"constant":      func(w *factor.Matrix, _ *Statistics) { fill(w.Data, 0.25) },
		"huge":          func(w *factor.Matrix, _ *Statistics) { scale(w.Data, 1e30) },
		"tiny":          func(w *factor.Matrix, _ *Statistics) { scale(w.Data, 1e-30) },
		"zero block":    func(w *factor.Matrix, _ *Statistics) { zeroColumns(w, 8, 16) },
		"dead inputs":   func(_ *factor.Matrix, s *Statistics) { clear(s.Cols[3:20]) },
		"dead outputs":  func(_ *factor.Matrix, s *Statistics) { clear(s.Rows[:23]) },
		"equal vectors": func(w *factor.Matrix, _ *Statistics) { equalRows(w) },
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) { // so that each has the same numbers each time
		change := changes[name]
		for _, layout := range slices.Sorted(maps.Keys(layouts)) {
			c := layouts[layout]
			w, s := randomMatrix(r, target.Out, target.In), randomStatistics(r, target.Out, target.In)
			change(w, s)
			m := tried{"dsformer", dsformerSettings(c)}
			options, _, err := m.options(ctx, target, w, s)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, layout, err)
			}
			o := options[min(1, len(options)-2)]
			form, err := m.apply(ctx, target, w, s, o)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, layout, err)
			}
			measure := importanceOf(w, s)
			got := measure.quality(w, form.product(target))
			if !near(got.Loss, o.Loss, 1e-3, rounding*rounding*measure.of(w)) || !(got.Relative < 2) { // what never mattered is left to chance
				t.Errorf("%s, %s: stored loss %g and relative error %g, predicted loss %g", name, layout, got.Loss, got.Relative, o.Loss)
			}
		}
	}
}

func fill(x []float64, v float64) {
	for i := range x {
		x[i] = v
	}
}

func scale(x []float64, v float64) {
	for i := range x {
		x[i] *= v
	}
}

func zeroColumns(w *factor.Matrix, lo, hi int) {
	for i := range w.Rows {
		clear(w.Row(i)[lo:hi])
	}
}

func equalRows(w *factor.Matrix) {
	for i := 1; i < w.Rows; i++ {
		copy(w.Row(i), w.Row(0))
	}
}

// TestCandidates: those methods compete that say so themselves, and what they read is what auto reads.
func TestCandidates(t *testing.T) {
	cfg := DefaultConfig().Compress
	var names []string
	for _, m := range cfg.methods("auto") {
		names = append(names, m.Name)
	}
	if want := []string{"svd", "fwsvd", "dsformer"}; !slices.Equal(names, want) || cfg.needs("auto") != (Needs{Fisher: true}) {
		t.Errorf("%v compete and read %+v, want %v", names, cfg.needs("auto"), want)
	}
}

// TestBlocksThatDoNotFit: a side that blocks do not divide is an error that names the layer, and auto does without.
func TestBlocksThatDoNotFit(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(8, 8))
	target := Target{Name: "model.x", Out: 16, In: 20}
	w, s := randomMatrix(r, target.Out, target.In), randomStatistics(r, target.Out, target.In)
	_, _, err := tried{"dsformer", dsformerSettings(nil)}.options(ctx, target, w, s)
	if !errors.Is(err, task.ErrUsage) || !strings.Contains(fmt.Sprint(err), "model.x: [compress.dsformer] block = 8 does not divide the 20 inputs of [16, 20]") {
		t.Errorf("got %v, want the layer, the block and the side", err)
	}
	options, _, err := tried{"auto", dsformerSettings(nil)}.options(ctx, target, w, s)
	if err != nil || slices.ContainsFunc(options, func(o Option) bool { return o.Method == "dsformer" }) {
		t.Errorf("auto: got %v (%v), want options without dsformer", options, err)
	}
}
