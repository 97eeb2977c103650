package stf

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
)

// rigLayer is the one layer of a rig that is dense_sparse.
const rigLayer = "model.layers.0.mlp.down_proj"

// rig is a factorizer with its layer factorized and its latent values begun, in float64.
func rig(t *testing.T, axis string, cfg recipe.Train) (*Factorizer, *nn.Store, *nn.Gradients) {
	t.Helper()
	run := recipe.Default()
	configs.Edit(&run.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
	run.Model.Linear = []nn.Rule{{Match: rigLayer, OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 12, Nonzeros: []int{2}, Axis: axis})}}
	run.Train = cfg
	store := nn.NewStore(tensor.Float64)
	f := New(cfg, store)
	grads := nn.NewGradients(store)
	o := model.Options{Seed: 1, Sink: grads, Frozen: cfg.Frozen}
	f.Apply(&o)
	session, err := run.Model.NewSession(model.Dims{VocabSize: 50, Context: 16}, store, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Program(model.Train, model.Shape{Rows: 1, Length: 4}); err != nil {
		t.Fatal(err)
	}
	if err := f.Begin(); err != nil {
		t.Fatal(err)
	}
	l := store.Layer(rigLayer)
	factors, err := factor.DenseSparse(context.Background(), randomMatrix(3, l.Out, l.In), factorConfig(l, 2, 1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SetDenseSparse(rigLayer, factors); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), cfg, 1, store, f, nil); err != nil {
		t.Fatal(err)
	}
	return f, store, grads
}

// rigConfig is [train] with the table of a kind, edited.
func rigConfig(kind string, edit func(*recipe.LatentValues, *recipe.STFLatent)) recipe.Train {
	cfg := recipe.Default().Train
	cfg.WeightDecay, cfg.STF = 0, stfOf(kind)
	switch k := cfg.STF.Of.(type) {
	case recipe.STFLatent:
		edit(&k.LatentValues, &k)
		cfg.STF.Of = k
	case recipe.STFSupport:
		edit(&k.LatentValues, nil)
		cfg.STF.Of = k
	}
	return cfg
}

func randomMatrix(seed uint64, rows, cols int) *factor.Matrix {
	m, r := factor.NewMatrix(rows, cols), rng.New(seed, "matrix", 0)
	for i := range m.Data {
		m.Data[i] = 2*r.Float64() - 1
	}
	return m
}

func latentsOf(f *Factorizer) []float64 { return f.latents.Get(nn.Latent(rigLayer)).Float64s() }

func indexOf(s *nn.Store) []uint8 {
	return append([]uint8(nil), s.Atoms(rigLayer+".sparse.indices").Index...)
}

// TestRate: the first step of AdamW moves each latent value by the learning rate times rate.
func TestRate(t *testing.T) {
	for _, kind := range []string{"latent", "support"} {
		for _, rate := range []float64{0.25, 2} {
			cfg := rigConfig(kind, func(v *recipe.LatentValues, _ *recipe.STFLatent) { v.Rate = rate })
			f, _, grads := rig(t, "in", cfg)
			g, _ := f.grads.Gradient(nn.Latent(rigLayer))
			for i := range g.Float64s() {
				g.Float64s()[i] = 1 + float64(i%3)
			}
			before := append([]float64(nil), latentsOf(f)...)
			if _, err := f.Update(grads, 1, 1e-3, 1); err != nil {
				t.Fatal(err)
			}
			for i, x := range latentsOf(f) {
				if got, want := before[i]-x, rate*1e-3; math.Abs(got-want) > 1e-9 {
					t.Fatalf("%s, rate %g: latent value %d has moved by %g, want %g", kind, rate, i, got, want)
				}
			}
		}
	}
}

// TestRefresh: a latent weight that has become another one keeps its choice of atoms, refitted, until a step that refresh
// divides, which finds a better one.
func TestRefresh(t *testing.T) {
	for _, axis := range []string{"in", "out"} {
		f, store, _ := rig(t, axis, rigConfig("latent", func(_ *recipe.LatentValues, k *recipe.STFLatent) { k.Refresh, k.Margin, k.Sweeps = 3, 0, 0 }))
		copy(latentsOf(f), randomMatrix(9, 1, len(latentsOf(f))).Data)
		before := indexOf(store)
		worst := math.Inf(1)
		for step := 1; step <= 3; step++ {
			if err := f.reading.project(rigLayer, step); err != nil {
				t.Fatal(err)
			}
			gap, err := f.gap()
			if err != nil {
				t.Fatal(err)
			}
			same := slices.Equal(before, indexOf(store))
			if same != (step < 3) {
				t.Errorf("axis %s, step %d: the choice of atoms is the old one: %t", axis, step, same)
			}
			if step == 3 && !(gap < 0.95*worst) {
				t.Errorf("axis %s: the gap is %g after the search, %g before", axis, gap, worst)
			}
			worst = gap
		}
	}
}

// TestMargin: a vector takes other atoms only where they save that share of its squared error; 0 takes any gain, 1 none.
func TestMargin(t *testing.T) {
	taken := map[float64]int{}
	for _, margin := range []float64{0, 0.3, 1} {
		f, store, _ := rig(t, "in", rigConfig("latent", func(_ *recipe.LatentValues, k *recipe.STFLatent) { k.Refresh, k.Margin, k.Sweeps = 1, margin, 0 }))
		r := f.reading.(latentWeight)
		noise := randomMatrix(9, 1, len(latentsOf(f))).Data
		for i := range latentsOf(f) {
			latentsOf(f)[i] += 0.5 * noise[i]
		}
		w := r.weight(rigLayer)
		old, err := store.DenseSparse(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		if old, err = old.Refit(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		before := vectorErrors(old, w)
		if err := f.reading.project(rigLayer, 1); err != nil {
			t.Fatal(err)
		}
		now, err := store.DenseSparse(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		after := vectorErrors(now, w)
		for g, c := range now.Codes {
			for i := range c.Vectors {
				lo, hi := i*c.Nonzeros, (i+1)*c.Nonzeros
				if slices.Equal(c.Index[lo:hi], old.Codes[g].Index[lo:hi]) {
					continue
				}
				taken[margin]++
				if at := g*c.Vectors + i; after[at] > (1-margin)*before[at]*(1+1e-9) {
					t.Errorf("margin %g: a vector's error went from %g to %g by other atoms", margin, before[at], after[at])
				}
			}
		}
	}
	if !(taken[0] > taken[0.3] && taken[0.3] > 0 && taken[1] == 0) {
		t.Errorf("vectors that took other atoms, by margin: %v; want fewer with more, and none with 1", taken)
	}
}

// TestSweeps: a search moves the atoms as many times as sweeps says.
func TestSweeps(t *testing.T) {
	for sweeps := range 3 {
		f, store, _ := rig(t, "in", rigConfig("latent", func(_ *recipe.LatentValues, k *recipe.STFLatent) { k.Refresh, k.Margin, k.Sweeps = 1, 0, sweeps }))
		copy(latentsOf(f), randomMatrix(9, 1, len(latentsOf(f))).Data)
		w := f.reading.(latentWeight).weight(rigLayer)
		start, err := store.DenseSparse(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		unitAtoms(start)
		if start, err = start.Refit(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		want, err := factor.DenseSparse(context.Background(), w, factorConfig(store.Layer(rigLayer), sweeps, 0), start, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.reading.project(rigLayer, 1); err != nil {
			t.Fatal(err)
		}
		got, err := store.DenseSparse(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		moved := 0.0
		for i, x := range got.Dictionary(0).Data {
			if math.Abs(x-want.Dictionary(0).Data[i]) > 1e-12 {
				t.Fatalf("%d sweeps: the dictionary is not that of as many sweeps of the factorizer", sweeps)
			}
			moved += math.Abs(x - start.Dictionary(0).Data[i])
		}
		if (moved > 1e-6) != (sweeps > 0) {
			t.Errorf("%d sweeps: the atoms have moved by %g", sweeps, moved)
		}
	}
}

// TestDecay: what is added to the gradient is lambda times what a latent value is off, before the gradient's scale, and a step
// by it alone brings the latent values nearer to what is computed with.
func TestDecay(t *testing.T) {
	for _, kind := range []string{"latent", "support"} {
		const lambda, scale = 0.2, 0.5
		f, _, grads := rig(t, "out", rigConfig(kind, func(v *recipe.LatentValues, k *recipe.STFLatent) {
			v.Decay, v.Rate = lambda, 1
			if k != nil {
				k.Refresh = 100
			}
		}))
		for i, x := range randomMatrix(8, 1, len(latentsOf(f))).Data {
			latentsOf(f)[i] += 0.01 * x
		}
		if err := f.reading.project(rigLayer, 1); err != nil {
			t.Fatal(err)
		}
		g, _ := f.grads.Gradient(nn.Latent(rigLayer))
		rest, err := f.reading.rest(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.decay(rigLayer, scale); err != nil {
			t.Fatal(err)
		}
		size := 0.0
		for i, x := range rest {
			size += x * x
			if got, want := g.Float64s()[i]*scale, lambda*x; math.Abs(got-want) > 1e-12 {
				t.Fatalf("%s: %g is added for a rest of %g, want %g", kind, got, x, want)
			}
		}
		clear(g.Float64s())
		if _, err := f.Update(grads, 1, 1e-4, scale); err != nil {
			t.Fatal(err)
		}
		now, err := f.reading.rest(rigLayer)
		if err != nil {
			t.Fatal(err)
		}
		left := 0.0
		for _, x := range now {
			left += x * x
		}
		if !(size > 0 && left < size*(1-1e-6)) {
			t.Errorf("%s: the rest went from %g to %g, want it smaller", kind, size, left)
		}
	}
}

// TestSupportCountsNorms: the atoms of a vector are those with the largest |c| ||d||, by a naive loop over atoms of unequal
// norms, and others start below the least of them by that measure too.
func TestSupportCountsNorms(t *testing.T) {
	f, store, _ := rig(t, "in", rigConfig("support", func(*recipe.LatentValues, *recipe.STFLatent) {}))
	d := store.Get(dictionary(rigLayer)).Float64s()
	const block, atoms = 8, 12
	norm := func(g, k int) float64 {
		sum := 0.0
		for _, x := range d[(g*atoms+k)*block : (g*atoms+k+1)*block] {
			sum += x * x
		}
		return math.Sqrt(sum)
	}
	l, k := denseSparse(store, rigLayer)
	_, vectors := k.Cut(l.In, l.Out)
	for i := range d { // atoms of norms 0.5 to 6
		d[i] *= 0.5 * float64(1+i/block%atoms)
	}
	w := &factor.Matrix{Rows: l.Out, Cols: l.In, Data: store.DenseWeight(rigLayer)}
	noisy := randomMatrix(5, l.Out, l.In)
	for i := range noisy.Data {
		noisy.Data[i] = w.Data[i] + 3*noisy.Data[i]
	}
	if err := f.reading.start(rigLayer, noisy); err != nil {
		t.Fatal(err)
	}
	before := indexOf(store)
	if err := f.reading.project(rigLayer, 1); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, indexOf(store)) {
		t.Error("the latent values that others start with change the choice")
	}
	full := 0 // that start as high as they may
	for g := range len(latentsOf(f)) / (vectors * atoms) {
		for i := range vectors {
			row := latentsOf(f)[(g*vectors+i)*atoms:][:atoms]
			chosen := []int{int(before[g*2*vectors+i]), int(before[g*2*vectors+vectors+i])}
			least := min(math.Abs(row[chosen[0]])*norm(g, chosen[0]), math.Abs(row[chosen[1]])*norm(g, chosen[1]))
			for j, x := range row {
				if slices.Contains(chosen, j) {
					continue
				}
				score := math.Abs(x) * norm(g, j)
				if score > beside*least*(1+1e-12) {
					t.Fatalf("atom %d of vector %d starts with %g, want at most %g", j, i, score, beside*least)
				}
				if score > beside*least*(1-1e-12) {
					full++
				}
			}
		}
	}
	if full == 0 {
		t.Error("no atom starts as high as it may")
	}
	copy(latentsOf(f), randomMatrix(7, 1, len(latentsOf(f))).Data)
	if err := f.reading.project(rigLayer, 1); err != nil {
		t.Fatal(err)
	}
	got := indexOf(store)
	for g := range len(latentsOf(f)) / (vectors * atoms) {
		for i := range vectors {
			order := make([]int, atoms)
			for j := range order {
				order[j] = j
			}
			row := latentsOf(f)[(g*vectors+i)*atoms:][:atoms]
			slices.SortFunc(order, func(a, b int) int {
				if math.Abs(row[a])*norm(g, a) > math.Abs(row[b])*norm(g, b) {
					return -1
				}
				return 1
			})
			want := []uint8{uint8(min(order[0], order[1])), uint8(max(order[0], order[1]))}
			if have := []uint8{got[g*2*vectors+i], got[g*2*vectors+vectors+i]}; !slices.Equal(have, want) {
				t.Fatalf("block %d, vector %d has atoms %d, want %d", g, i, have, want)
			}
		}
	}
}

// TestSecondWarmUp: where the optimizer begins anew, C and D begin with a share of the rate that grows over warmup_steps.
func TestSecondWarmUp(t *testing.T) {
	cfg := rigConfig("latent", func(*recipe.LatentValues, *recipe.STFLatent) {})
	cfg.WarmupSteps = 4
	f, store, grads := rig(t, "in", cfg)
	const settled, rate = 7, 1e-3
	if err := f.Settle(settled); err != nil {
		t.Fatal(err)
	}
	g, _ := grads.Gradient(Codes(rigLayer))
	for i := range g.Float64s() {
		g.Float64s()[i] = 2 // so that each step of AdamW is one of the rate
	}
	for at := 1; at <= 6; at++ {
		before := append([]float64(nil), store.Get(Codes(rigLayer)).Float64s()...)
		if _, err := f.Update(grads, settled+at, rate, 1); err != nil {
			t.Fatal(err)
		}
		want := rate * min(1, float64(at)/4)
		for i, x := range store.Get(Codes(rigLayer)).Float64s() {
			if got := before[i] - x; math.Abs(got-want) > 1e-9 {
				t.Fatalf("step %d after it has settled: C moves by %g, want %g", at, got, want)
			}
		}
	}
}

// TestChanged: swaps are counted in the tenth of the run in which they happen, and a run that changes hardly any is called
// frozen.
func TestChanged(t *testing.T) {
	f, store, _ := rig(t, "in", rigConfig("latent", func(*recipe.LatentValues, *recipe.STFLatent) {}))
	slots := store.Layer(rigLayer).Nonzeros()
	var s saved.State
	if ChangedOf(s) != nil || ChangedOf(s).Frozen() {
		t.Error("a run without latent values has changed something, or is called frozen")
	}
	const steps = 25
	for step := 1; step <= steps; step++ {
		s.Step = step
		swaps := 0
		if step == 1 || step == 13 || step == steps {
			swaps = step
		}
		f.Note(&s, swaps, steps)
	}
	c := ChangedOf(s)
	want := []int{1, 0, 0, 0, 13, 0, 0, 0, 0, 25}
	for i, n := range want {
		if math.Abs(c[i]*float64(slots)-float64(n)) > 1e-9 {
			t.Errorf("tenth %d: %g of %d, want %d", i, c[i], slots, n)
		}
	}
	if s.Swaps != 39 || c.Frozen() || strings.Contains(c.String(), "frozen") {
		t.Errorf("%d swaps, frozen: %t (%s)", s.Swaps, c.Frozen(), c)
	}
	little := Changed{0.004, 0.005}
	if !little.Frozen() || !strings.Contains(little.String(), "0.9% in all: as good as frozen") {
		t.Errorf("0.9%% changed: %s", little)
	}
	if err := f.Settle(steps); err != nil {
		t.Fatal(err)
	}
	f.Note(&s, 5, steps)
	if s.Swaps != 39 {
		t.Error("swaps are counted after the latent values have settled")
	}
}
