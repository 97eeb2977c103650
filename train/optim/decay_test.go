package optim

import (
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
)

// TestDecayIsDeclared: of every network of the shipped configs, and of layers of every kind, weight decay is for the parameters
// that it has always been for: those with two dimensions or more. Each says so itself: S and its learned factor, gates, gains
// and biases do not decay; factors, dictionaries, tables, a learned context and positions do.
func TestDecayIsDeclared(t *testing.T) {
	paths, err := filepath.Glob("../../configs/*.toml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(name string, cfg recipe.Config) {
		t.Helper()
		dims := model.Dims{VocabSize: 64, Context: 64, Classes: 4}
		if _, ok := cfg.Data.Images(); ok {
			dims = model.ImageDims(4, 224, 3)
		}
		if cfg.Model.Name == "decoder" {
			dims.Classes = 0
		}
		if cfg.Model.Name == "denoiser" {
			dims = model.ImageDims(1, 32, 1)
		}
		if cfg.Data.Gives() == "interactions of users and items" {
			dims = model.Dims{Catalogue: model.Catalogue{Users: 9, Items: 7}}
		}
		store := nn.NewStore(tensor.Float32)
		store.Virtual = true
		if _, err := cfg.Model.NewSession(dims, store, model.Options{Seed: 1}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, p := range store.Names() {
			if got, want := store.Decays(p), store.Shape(p).Dims() >= 2; got != want {
				t.Errorf("%s: %s of shape %v decays: %t, want %t", name, p, store.Shape(p), got, want)
			}
			for _, end := range []string{".sparse.values", ".dictionary.weight", ".context", ".v_gate", ".scale", ".down.weight", "position_embeddings", "cls_token", "norm.weight", ".bias"} {
				if strings.HasSuffix(p, end) {
					seen[end] = true
				}
			}
		}
	}
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), "compress-") {
			continue
		}
		cfg := recipe.Default()
		if err := configs.Load(path, &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
			t.Fatal(err)
		}
		check(path, cfg)
	}
	for _, k := range nn.Kinds() {
		cfg := smallConfig()
		cfg.Model.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: configs.OneOf[nn.Kind]{Name: k.Name, Of: k.New()}}}
		switch of := cfg.Model.Linear[0].Of.(type) {
		case nn.DenseSparse:
			of.Block, of.Atoms, of.Nonzeros = 8, 12, []int{2}
			cfg.Model.Linear[0].Of = of
		case nn.SLTrain:
			of.Rank, of.Density, of.TrainScale = 2, 0.1, true
			cfg.Model.Linear[0].Of = of
		case nn.LowRank:
			of.Rank = 2
			cfg.Model.Linear[0].Of = of
		case nn.LoRA:
			of.Rank = 2
			cfg.Model.Linear[0].Of = of
		}
		check(k.Name, cfg)
	}
	kr := smallConfig()
	if err := configs.Decode("mfa_kr", []byte("model.attention.kind=\"mfa_kr\"\n"), &kr, configs.Options{Lists: recipe.Lists()}); err != nil {
		t.Fatal(err)
	}
	check("mfa_kr", kr)
	for _, end := range []string{".sparse.values", ".dictionary.weight", ".context", ".v_gate", ".scale", ".down.weight", "position_embeddings", "cls_token", "norm.weight", ".bias"} {
		if !seen[end] {
			t.Errorf("no network has a parameter %s", end)
		}
	}
}

// TestSteadyOfManyDimensions: a matrix that is declared steady does not decay, and a vector that is not does, by both
// optimizers: the number of dimensions says nothing.
func TestSteadyOfManyDimensions(t *testing.T) {
	for _, optimizer := range []string{"adamw", "adamw8bit"} {
		cfg := smallConfig().Train
		cfg.Optimizer, cfg.WeightDecay = optimizer, 0.5
		store := nn.NewStore(tensor.Float32)
		const size = 2 * minElements8bit
		b := nn.NewBuilder(nil, store, nn.Options{})
		b.Steady("matrix", nn.Constant(1), 2, size/2)
		b.Weight("vector", nn.Constant(1), size)
		grads := nn.NewGradients(store)
		for _, name := range store.Names() {
			grads.Gradient(name)
		}
		UpdateAll(New(cfg, store), grads, 1, 0.1, 1)
		if got := store.Get("matrix").Float32s()[5]; got != 1 {
			t.Errorf("%s: the steady matrix is %g, want 1", optimizer, got)
		}
		if got := store.Get("vector").Float32s()[5]; got != 0.95 {
			t.Errorf("%s: the vector is %g, want 0.95", optimizer, got)
		}
	}
}
