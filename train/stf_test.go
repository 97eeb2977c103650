package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train/stf"
)

// stfConfig is a run of eight steps by one reading, from a dense run's weights.
func stfConfig(t *testing.T, kind, axis string, shared bool) recipe.Config {
	t.Helper()
	dense := smallConfig(t)
	from := filepath.Join(t.TempDir(), "dense")
	if _, err := mustTrain(t, dense, from, nil); err != nil {
		t.Fatal(err)
	}
	c := dense
	c.Model.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 16, Nonzeros: []int{2}, Axis: axis, Shared: shared})}}
	c.Train.InitFrom, c.Train.Steps = from, 8
	c.Train.STF = stfOf(kind)
	editLatent(c.Train.STF, func(v *recipe.LatentValues) { v.Rate, v.FreezeShare = 1, 0.4 })
	if k, ok := c.Train.STF.Of.(recipe.STFLatent); ok {
		k.Refresh, k.Margin = 2, 0
		c.Train.STF.Of = k
	}
	return c
}

// latentKinds are the kinds that have latent values, and allKinds those and frozen.
var latentKinds, allKinds = []string{"latent", "support"}, []string{"frozen", "latent", "support"}

// stfOf is the table of a kind with its defaults.
func stfOf(kind string) *recipe.STF {
	c := &recipe.STF{}
	c.SetDefaults()
	for _, k := range recipe.STFKinds() {
		if k.Name == kind {
			c.OneOf = configs.OneOf[recipe.STFKind]{Name: kind, Of: k.New()}
		}
	}
	return c
}

// editLatent edits the keys of latent values, if the kind has them.
func editLatent(c *recipe.STF, edit func(*recipe.LatentValues)) {
	switch k := c.Of.(type) {
	case recipe.STFLatent:
		edit(&k.LatentValues)
		c.Of = k
	case recipe.STFSupport:
		edit(&k.LatentValues)
		c.Of = k
	}
}

// eachReading runs a test for every kind and both sides, with a dictionary for all blocks and one for each.
func eachReading(t *testing.T, kinds []string, do func(t *testing.T, cfg recipe.Config)) {
	t.Helper()
	for _, kind := range kinds {
		for _, axis := range []string{"in", "out"} {
			t.Run(kind+"/"+axis, func(t *testing.T) { do(t, stfConfig(t, kind, axis, axis == "in")) })
		}
	}
}

func mustPrepare(t *testing.T, cfg recipe.Config) *Trainer {
	t.Helper()
	trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return trainer
}

func mustStep(t *testing.T, trainer *Trainer) metrics.Record {
	t.Helper()
	r, err := trainer.step()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lossOf is a value of a record.
func lossOf(r metrics.Record, name string) float64 {
	x, _ := r.Value(name)
	return x
}

// TestSTFInvariants: the first loss is that of the factors before any training, by every kind; each step computes with what
// is stored after the step before; and every vector has s atoms at every step, ascending, of which some change.
func TestSTFInvariants(t *testing.T) {
	eachReading(t, allKinds, func(t *testing.T, cfg recipe.Config) {
		cfg.Train.LearningRate = 3e-2
		plain := cfg
		plain.Train.STF = nil
		trainer := mustPrepare(t, cfg)
		swapped := 0
		for step := 1; step <= cfg.Train.Steps; step++ {
			// A trainer of the stored factors alone, over the same data.
			other := &Trainer{cfg: plain}
			*other = *mustPrepare(t, plain)
			copyStore(other.store, trainer.store)
			if err := other.stream.Seek(trainer.stream.Cursor()); err != nil {
				t.Fatal(err)
			}
			want := lossOf(mustStep(t, other), "loss")
			r := mustStep(t, trainer)
			if got := lossOf(r, "loss"); got != want {
				t.Errorf("step %d: loss %v, and %v of the factors as stored", step, got, want)
			}
			if err := trainer.store.CheckIndices(); err != nil {
				t.Error(err)
			}
			swapped = trainer.state.Swaps
		}
		if (swapped > 0) != (cfg.Train.STF.Name != "frozen") {
			t.Errorf("%d atoms have changed", swapped)
		}
	})
}

// copyStore copies parameters and indices.
func copyStore(dst, src *nn.Store) {
	for _, name := range src.Names() {
		copy(dst.Get(name).Float32s(), src.Get(name).Float32s())
	}
	for _, name := range src.AtomNames() {
		copy(dst.Atoms(name).Index, src.Atoms(name).Index)
	}
}

// TestSTFFrozenIsPlainTraining: kind = "frozen" is a run without the table, byte for byte.
func TestSTFFrozenIsPlainTraining(t *testing.T) {
	cfg := stfConfig(t, "frozen", "in", true)
	first := mustPrepare(t, cfg)
	dir := filepath.Join(t.TempDir(), "factored") // so that both start from the same factors
	first.dir = dir
	if err := first.save(); err != nil {
		t.Fatal(err)
	}
	cfg.Train.InitFrom = checkpoints.StepDir(dir, 0)
	var models [2][]byte
	for i := range models {
		if i == 1 {
			cfg.Train.STF = nil
		}
		run := filepath.Join(t.TempDir(), "run")
		if _, err := mustTrain(t, cfg, run, nil); err != nil {
			t.Fatal(err)
		}
		models[i] = modelBytes(t, run, cfg.Train.Steps)
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("the models differ")
	}
}

// TestSTFResumes: stopped after any step, with latent values and after they have settled, a run continues to the bytes of
// one that was not; the final model is an ordinary checkpoint, without latent values.
func TestSTFResumes(t *testing.T) {
	optimizers, stops := []string{"adamw", "adamw8bit"}, []int{1, 4, 5, 7} // they settle after 5
	if testing.Short() {
		optimizers, stops = optimizers[:1], []int{4, 7}
	}
	for _, optimizer := range optimizers {
		eachReading(t, latentKinds, func(t *testing.T, cfg recipe.Config) {
			if optimizer == "adamw8bit" && cfg.Model.Linear[0].Of.(nn.DenseSparse).Axis == "out" {
				t.Skip("8-bit states do not depend on the side that is cut: axis in resumes with them")
			}
			cfg.Train.Optimizer, cfg.Train.GradAccum = optimizer, 2
			editLatent(cfg.Train.STF, func(v *recipe.LatentValues) { v.Decay = 0.01 })
			whole := filepath.Join(t.TempDir(), "whole")
			if _, err := mustTrain(t, cfg, whole, nil); err != nil {
				t.Fatal(err)
			}
			for _, stop := range stops {
				dir := filepath.Join(t.TempDir(), "run")
				trainUntil(t, cfg, dir, stop)
				again, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := again.Run(context.Background(), nil); err != nil {
					t.Fatal(err)
				}
				for _, file := range []string{"model.npz", "optimizer.npz", "state.json"} {
					if !bytes.Equal(checkpointFile(t, whole, cfg.Train.Steps, file), checkpointFile(t, dir, cfg.Train.Steps, file)) {
						t.Errorf("stopped after step %d: %s differs", stop, file)
					}
				}
			}
			if l, err := saved.Open(whole, true, model.Options{}); err != nil {
				t.Error(err)
			} else if names := strings.Join(l.Session.Store().Names(), " "); strings.Contains(names, "latent") {
				t.Errorf("the checkpoint has %s", names)
			}
		})
	}
}

// TestSTFThreads: any number of threads gives the same bytes.
func TestSTFThreads(t *testing.T) {
	eachReading(t, latentKinds, func(t *testing.T, cfg recipe.Config) {
		var models [2][]byte
		for i, threads := range []int{1, 3} {
			defer kernel.SetThreads(kernel.Threads())
			kernel.SetThreads(threads)
			run := filepath.Join(t.TempDir(), "run")
			if _, err := mustTrain(t, cfg, run, nil); err != nil {
				t.Fatal(err)
			}
			models[i] = modelBytes(t, run, cfg.Train.Steps)
		}
		if !bytes.Equal(models[0], models[1]) {
			t.Error("the models differ")
		}
	})
}

// TestSTFConfig: what the table cannot be, one line for each mistake.
func TestSTFConfig(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{`kind="frozen"`, ""},
		{`kind="latent",refresh=10,sweeps=0,margin=0.2,rate=0.5,freeze_share=0.0,decay=0.1,from="runs/a"`, ""},
		{`kind="support",decay=2e-4,match="*.mlp.*"`, ""},
		{`kind="hard"`, `kind = "hard" is unknown; want one of frozen, latent, support`},
		{`kind="frozen",rate=0.1`, `unknown key "rate" in [train.stf] of kind = "frozen"; it is a key of latent, support`},
		{`kind="support",refresh=5`, `unknown key "refresh" in [train.stf] of kind = "support"; it is a key of latent`},
		{`kind="latent",refresh=0`, `refresh = 0 is too small; want at least 1`},
		{`kind="latent",margin=1.5`, `margin = 1.5 is out of range; want 0 (any gain) to 1 (never)`},
		{`kind="latent",rate=0`, `rate = 0.0 is out of range; want a finite number above 0`},
		{`kind="support",freeze_share=1.0`, `freeze_share = 1.0 is out of range; want at least 0 and less than 1`},
		{`kind="support",decay=-1`, `decay = -1.0 is out of range; want 0 to 1`},
		{`kind="support",match=""`, `is not a valid glob pattern; want one like`},
		{`kind="support"},ema=0.9,extra={`, `ema = 0.9 does not go with [train.stf] kind = "support"`},
		{`kind="latent"},per_layer_update=true,grad_clip=0,extra={`, `per_layer_update = true does not go with [train.stf] kind = "latent"`},
	} {
		text := "train={stf={" + strings.TrimSuffix(tc.set, ",extra={") + "}"
		if strings.HasSuffix(tc.set, ",extra={") {
			text = strings.TrimSuffix(text, "}")
		}
		cfg := recipe.Default()
		err := configs.Decode("a.toml", []byte(text+"}\n"), &cfg, configs.Options{Lists: recipe.Lists()})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("{%s}: %v; want %q", tc.set, err, tc.want)
		}
	}
}

// TestSTFRefuses: a network or a checkpoint without what the table is about is refused before anything is written.
func TestSTFRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*recipe.Config)
		want   string
	}{
		"no layer":   {func(c *recipe.Config) { c.Model.Linear = nil }, `[train.stf]: the network has no layer of kind "dense_sparse"`},
		"no match":   {func(c *recipe.Config) { c.Train.STF.Match = "*.mpl.*" }, `[train.stf] match = "*.mpl.*": no layer`},
		"frozen":     {func(c *recipe.Config) { c.Train.Freeze = []recipe.Freeze{{Match: "*.dictionary.*"}} }, `[[train.freeze]] freezes model.layers.0`},
		"from":       {func(c *recipe.Config) { c.Train.STF.From = "nowhere" }, `nowhere`},
		"other from": {func(c *recipe.Config) { c.Train.STF.From = sparseRun(t, *c) }, `has no weight model.layers.0`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := stfConfig(t, "latent", "in", true)
			tc.change(&cfg)
			dir := filepath.Join(t.TempDir(), "out")
			_, err := New(context.Background(), cfg, dir, false, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want %q", err, tc.want)
			}
			if saved.IsRun(dir) {
				t.Error("there is a run")
			}
		})
	}
}

// sparseRun is a run whose layers are not dense.
func sparseRun(t *testing.T, cfg recipe.Config) string {
	t.Helper()
	cfg.Train.STF, cfg.Train.Steps = nil, 1
	dir := filepath.Join(t.TempDir(), "factored")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSTFKeepsItsKind: a run with latent values cannot continue as another, nor without them; it can with other rates, and
// once they have settled also for more steps.
func TestSTFKeepsItsKind(t *testing.T) {
	cfg := stfConfig(t, "support", "in", true)
	dir := filepath.Join(t.TempDir(), "run")
	trainUntil(t, cfg, dir, 6)
	for _, set := range [][]string{{`train.stf.kind="latent"`, "train.stf.refresh=5"}, {`train.stf.kind="frozen"`, "train.stf.rate=0", "train.stf.freeze_share=0"}, {`train.stf.match="model.layers.0.*"`}} {
		if _, _, err := Resume(context.Background(), dir, "", set, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "[train.stf] has another kind or match") {
			t.Errorf("--set %s: %v", set, err)
		}
	}
	again, _, err := Resume(context.Background(), dir, "", []string{"train.stf.rate=0.5", "train.steps=20"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Run(context.Background(), nil); err != nil || again.state.Settled != 5 {
		t.Errorf("%v; settled after step %d, want still 5", err, again.state.Settled)
	}
}

// TestSTFFirstSweeps: layers that are dense in the checkpoint are factorized by as many sweeps as first_sweeps says.
func TestSTFFirstSweeps(t *testing.T) {
	cfg := stfConfig(t, "frozen", "in", true)
	dense, err := saved.Open(cfg.Train.InitFrom, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const layer = "model.layers.0.mlp.up_proj"
	var before []float32
	for _, sweeps := range []int{0, 3} {
		cfg.Train.STF.FirstSweeps = sweeps
		store := mustPrepare(t, cfg).store
		l := store.Layer(layer)
		w, err := factor.FromFloat32(l.Out, l.In, dense.Session.Store().Get(layer+".weight").Float32s())
		if err != nil {
			t.Fatal(err)
		}
		k := l.Rule.Of.(nn.DenseSparse)
		want, err := factor.DenseSparse(context.Background(), w, factor.DenseSparseConfig{
			Block: k.Block, Atoms: k.Atoms, Nonzeros: k.BlockNonzeros(l.In, l.Out), Shared: k.Shared, Sweeps: sweeps, Seed: cfg.Seed, Axis: factor.AxisIn,
		}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := store.Get(layer + ".dictionary.weight").Float32s()
		for i, x := range got {
			if x != float32(want.Dictionary(0).Data[i]) {
				t.Fatalf("%d sweeps: the dictionary is another", sweeps)
			}
		}
		if slices.Equal(got, before) {
			t.Error("sweeps change nothing")
		}
		before = got
	}
}

// TestSTFAsShipped: with the settings that kinds come with, latent values train to the last step and move at least a hundredth
// of the supports; the run tells so, tenth by tenth.
func TestSTFAsShipped(t *testing.T) {
	for _, kind := range latentKinds {
		cfg := stfConfig(t, kind, "in", true)
		cfg.Train.STF, cfg.Train.Steps, cfg.Train.LearningRate = stfOf(kind), 20, 1e-2
		r, err := mustTrain(t, cfg, filepath.Join(t.TempDir(), "run"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Changed) != stf.Tenths || r.Changed.Frozen() || cfg.Train.Settles() != 0 {
			t.Errorf("%s: atoms changed: %s; settles after step %d; want tenths, at least 1%% in all, and latent values to the end", kind, r.Changed, cfg.Train.Settles())
		}
		for i, x := range r.Changed {
			// refresh = 5 searches at steps 5, 10, 15 and 20: in the 3rd, 5th, 8th and 10th tenth.
			if searches := i == 2 || i == 4 || i == 7 || i == 9; kind == "latent" && (x > 0) != searches {
				t.Errorf("latent: %.4f of the supports changed in tenth %d", x, i+1)
			}
		}
	}
}

// TestSTFSettles: when latent coefficients settle, each value of C goes on with the optimizer's means of its own; the step
// after is that of a run which had trained C all along with them.
func TestSTFSettles(t *testing.T) {
	for _, axis := range []string{"in", "out"} {
		cfg := stfConfig(t, "support", axis, axis == "in")
		trainer := mustPrepare(t, cfg)
		for range 4 {
			mustStep(t, trainer)
		}
		s := trainer.stf
		layers, err := stf.Layers(cfg.Train.STF, trainer.store, cfg.Train.Frozen)
		if err != nil {
			t.Fatal(err)
		}
		layer := layers[0]
		old := saved.ByName(s.Arrays()) // which the last step with latent values still changes
		mean, latents := old["mean."+nn.Latent(layer)].Data.([]float32), old[nn.Latent(layer)].Data.([]float32)
		mustStep(t, trainer) // the last with latent values
		if trainer.state.Settled != 5 || s.Latents() != nil {
			t.Fatalf("settled after step %d, latent values %v", trainer.state.Settled, s.Latents())
		}
		values, means := trainer.store.Get(stf.Codes(layer)).Float32s(), saved.ByName(s.Arrays())["mean."+stf.Codes(layer)].Data.([]float32)
		l := trainer.store.Layer(layer)
		factors := l.Rule.Of.(nn.DenseSparse)
		_, vectors := factors.Cut(l.In, l.Out)
		index, at := trainer.store.Atoms(layer+".sparse.indices").Index, 0
		for g, nonzeros := range factors.BlockNonzeros(l.In, l.Out) {
			for range nonzeros {
				for i := range vectors {
					from := (g*vectors+i)*factors.Atoms + int(index[at])
					if values[at] != latents[from] || means[at] != mean[from] || means[at] == 0 {
						t.Fatalf("axis %s: value %d is %g with mean %g, want %g with %g", axis, at, values[at], means[at], latents[from], mean[from])
					}
					at++
				}
			}
		}
		mustStep(t, trainer)
	}
}
