package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/metrics"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
)

func checkpointFile(t *testing.T, dir string, step int, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(checkpoints.StepDir(dir, step), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// models are variants that differ in which gradients are alive together.
var models = []struct {
	name   string
	change func(*recipe.Config)
}{
	{"untied", func(*recipe.Config) {}},
	{"tied", func(c *recipe.Config) { configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Tied = true }) }},
	{"untied checkpointed", func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.CheckpointActivations = true })
	}},
	{"tied checkpointed", func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Tied, b.CheckpointActivations = true, true })
	}},
	{"biases, learned positions, dropout", func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Bias, b.Positions, b.Norm, b.Dropout = true, "learned", "layer_norm", 0.1 })
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) {
			b.Attention.Of = attention.MHA{Projections: attention.Projections{Bias: true}}
		})
	}},
	{"frozen", func(c *recipe.Config) { c.Train.Freeze = []recipe.Freeze{{Match: "*.embed*"}, {Match: "*.layers.0.*"}} }},
	{"matrices delivered in rows", func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) {
			b.DModel, b.DFF, b.Positions, b.Context, b.Bias, b.NLayer = 32, 40_000, "learned", 40_000, true, 1
		})
		c.Eval.Every, c.Checkpoint.Every = 0, 0
	}},
	{"sparse plus low rank", func(c *recipe.Config) {
		c.Model.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: nn.As(nn.SLTrain{Rank: 4, Density: 0.1})}}
	}},
	{"dense-sparse", func(c *recipe.Config) {
		c.Model.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 16, Nonzeros: []int{2}, Shared: true})}}
	}},
}

// TestPerLayerUpdateIsTheOrdinaryOne: with one micro-batch and no clipping,
// weights, optimizer state and metrics are the same, bit for bit.
func TestPerLayerUpdateIsTheOrdinaryOne(t *testing.T) {
	for k, m := range models {
		for o, optimizer := range []string{"adamw", "adamw8bit"} {
			t.Run(m.name+"/"+optimizer, func(t *testing.T) {
				if testing.Short() && (k+o)%2 == 1 {
					t.Skip("-short takes the optimizers in turn")
				}
				cfg := smallConfig(t)
				configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer = 32, 2 })
				cfg.Train.Optimizer, cfg.Train.GradClip = optimizer, 0
				m.change(&cfg)
				var runs [2]string
				var records [2][]metrics.Record
				for i := range runs {
					cfg.Train.PerLayerUpdate = i == 1
					runs[i] = filepath.Join(t.TempDir(), "out")
					if _, err := mustTrain(t, cfg, runs[i], nil); err != nil {
						t.Fatal(err)
					}
					var err error
					if records[i], err = metrics.Read(filepath.Join(runs[i], "metrics.csv")); err != nil {
						t.Fatal(err)
					}
				}
				for _, file := range []string{"model.npz", "optimizer.npz", "state.json"} {
					if !bytes.Equal(checkpointFile(t, runs[0], 6, file), checkpointFile(t, runs[1], 6, file)) {
						t.Errorf("%s differs", file)
					}
				}
				for i, r := range records[0] {
					for _, key := range []string{"loss", "grad_norm", "validation_loss"} {
						a, _ := r.Value(key)
						if b, _ := records[1][i].Value(key); a != b {
							t.Errorf("step %d: %s is %v, and %v with per-layer updates", r.Step, key, a, b)
						}
					}
				}
			})
		}
	}
}

// TestPerLayerUpdateMemory: gradients take what was planned, after one step and
// after three, and less than all of them together.
func TestPerLayerUpdateMemory(t *testing.T) {
	for _, m := range models {
		t.Run(m.name, func(t *testing.T) {
			cfg := smallConfig(t)
			configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.NLayer = 3 })
			cfg.Train.GradClip = 0
			m.change(&cfg)
			ordinary, err := planOf(cfg)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Train.PerLayerUpdate = true
			plan, err := planOf(cfg)
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			inRows := map[string]bool{}
			update := trainer.layers.sink.Update
			trainer.layers.sink.Update = func(name string, grad *tensor.Dense, from int) error {
				inRows[name] = inRows[name] || from > 0
				return update(name, grad, from)
			}
			for step := range 3 {
				if _, err := trainer.step(); err != nil {
					t.Fatal(err)
				}
				if got := trainer.layers.sink.Bytes(); got != plan.Gradients {
					t.Errorf("after step %d gradients take %d bytes, planned %d", step+1, got, plan.Gradients)
				}
			}
			if up := "model.layers.0.mlp.up_proj.weight"; inRows[up] != (m.name == "matrices delivered in rows") {
				t.Errorf("%s came in rows: %v", up, inRows[up])
			}
			if plan.Gradients >= ordinary.Gradients {
				t.Errorf("%d bytes of gradients, %d without per-layer updates", plan.Gradients, ordinary.Gradients)
			}
			if plan.Weights != ordinary.Weights || plan.Optimizer != ordinary.Optimizer || plan.Activations != ordinary.Activations {
				t.Errorf("plan %+v, without per-layer updates %+v: want gradients to differ only", plan, ordinary)
			}
		})
	}
	// Untied, one gradient of each size at a time: embedding or head, MLP, attention, norm.
	cfg := smallConfig(t)
	cfg.Train.GradClip, cfg.Train.PerLayerUpdate = 0, true
	const d, ff, vocab = 16, 24, 256
	if plan, err := planOf(cfg); err != nil || plan.Gradients != 4*(vocab*d+ff*d+d*d+d) {
		t.Errorf("%d bytes of gradients (%v), want %d", plan.Gradients, err, 4*(vocab*d+ff*d+d*d+d))
	}
}

// TestPerLayerUpdateDiverges: a gradient that is no number ends the run with its
// parameter's name, and the message says what has become of the others.
func TestPerLayerUpdateDiverges(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.GradClip, cfg.Train.PerLayerUpdate = 0, true
	dir := filepath.Join(t.TempDir(), "out")
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := trainer.step(); err != nil {
			t.Fatal(err)
		}
	}
	if err := trainer.save(); err != nil {
		t.Fatal(err)
	}
	saved := checkpointFile(t, dir, 2, "model.npz")
	// All values stay finite, and so does the head's gradient; what goes back through down_proj overflows.
	head := trainer.store.Get("lm_head.weight").Float32s()
	up := trainer.store.Get("model.layers.0.mlp.up_proj.weight").Float32s()
	down := trainer.store.Get("model.layers.0.mlp.down_proj.weight").Float32s()
	for i := range up {
		up[i], down[i] = 1e-38, 3e38
	}
	for i := range head {
		head[i] *= 1e4
	}
	before := head[5]
	_, err = trainer.step()
	var d *DivergedError
	if !errors.As(err, &d) {
		t.Fatalf("step: %v, want a DivergedError", err)
	}
	if d.Step != 3 || d.What != "gradient" || d.Parameter == "" || d.Parameter == "lm_head.weight" || !d.Partial || !(math.IsNaN(d.Value) || math.IsInf(d.Value, 0)) {
		t.Errorf("error %+v, want a gradient of step 3 that is not the first", d)
	}
	if head[5] == before {
		t.Error("the head was not updated: its gradient was finite and came first")
	}
	for _, want := range []string{"step 3", d.Parameter, "per_layer_update may have changed parameters by then", "on disk is from before this step", "step-000002"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "op:") || strings.Contains(err.Error(), "nothing was updated") || strings.Contains(err.Error(), "grad_clip") {
		t.Errorf("%q names operators, or says what is not so", err)
	}
	if !bytes.Equal(saved, checkpointFile(t, dir, 2, "model.npz")) {
		t.Error("the checkpoint has changed")
	}
	trainer.unlock() // as the end of its process would
	if again, _, err := Resume(context.Background(), dir, "", nil, io.Discard); err != nil {
		t.Error(err)
	} else if _, err := again.Run(context.Background(), nil); err != nil {
		t.Error(err)
	}
}

// TestPerLayerUpdateDivergesInRows: of a matrix that comes in blocks of rows, the blocks before the one that is no number
// are updated, that one and those after it are not.
func TestPerLayerUpdateDivergesInRows(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.GradClip, cfg.Train.PerLayerUpdate = 0, true
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.DFF, b.NLayer = 32, 70_000, 1 })
	trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const layer = "model.layers.0.mlp."
	body := cfg.Model.Of.(decoder.Config)
	weights := func(name string) []float32 { return trainer.store.Get(name).Float32s() }
	up, gate, down, head := weights(layer+"up_proj.weight"), weights(layer+"gate_proj.weight"), weights(layer+"down_proj.weight"), weights("lm_head.weight")
	block := trainer.layers.sink.Rows(layer + "up_proj.weight")
	if block == 0 || 2*block >= body.DFF {
		t.Fatalf("blocks of %d rows, want at least three blocks", block)
	}
	// One hidden value, of the second block, is about 0, so that the loss is finite; what goes back to it overflows.
	bad := block + 5
	for i := range body.DModel {
		up[bad*body.DModel+i], down[i*body.DFF+bad] = 1e-38, 3e38
	}
	for i := range head {
		head[i] *= 1e4
	}
	before := map[string][]float32{layer + "up_proj.weight": slices.Clone(up), layer + "gate_proj.weight": slices.Clone(gate)}
	_, err = trainer.step()
	var d *DivergedError
	if !errors.As(err, &d) || before[d.Parameter] == nil {
		t.Fatalf("step: %v, want a DivergedError of gate_proj or up_proj", err)
	}
	from := block * body.DModel
	was, is := before[d.Parameter], weights(d.Parameter)
	if slices.Equal(is[:from], was[:from]) {
		t.Errorf("%s: the rows before the block that diverged were not updated", d.Parameter)
	}
	if !slices.Equal(is[from:], was[from:]) {
		t.Errorf("%s: rows of the block that diverged, or after it, were updated", d.Parameter)
	}
	if want := "per_layer_update may have changed parameters by then, in memory only"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}

func TestPerLayerUpdateRefusals(t *testing.T) {
	for _, c := range []struct {
		set  []string
		want string
	}{
		{[]string{"train.grad_clip=0.5"}, "per_layer_update = true wants grad_clip = 0, but it is 0.5"},
		{[]string{"train.grad_clip=0.0", "train.grad_accum=4"}, "per_layer_update = true wants grad_accum = 1, but it is 4"},
	} {
		cfg := recipe.Default()
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: recipe.Lists(), Set: append(c.set, "train.per_layer_update=true")})
		if !errors.Is(err, configs.ErrConfig) || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want one line with %q", c.set, err, c.want)
		}
	}
}
