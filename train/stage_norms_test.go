package train

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/train/optim"
)

// TestStageNorms: an image classifier's metrics tell of each stage at the first step and at evaluations; squares of the parts
// sum to those of the whole.
func TestStageNorms(t *testing.T) {
	names := []string{"head_weight_norm", "head_grad_norm"}
	for i := range 3 {
		for _, what := range []string{"weight_norm", "grad_norm", "activation_rms"} {
			names = append(names, fmt.Sprintf("stage%d_%s", i+1, what))
		}
	}
	for name, change := range map[string]func(*recipe.Config){
		"whole gradients": func(*recipe.Config) {},
		"micro-batches":   func(c *recipe.Config) { c.Train.GradAccum = 2 },
		"per layer":       perLayer,
		"checkpointed": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *favit.Body) { b.CheckpointActivations = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, dir := imageConfig(t), filepath.Join(t.TempDir(), "out")
			change(&cfg)
			trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := trainer.Run(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
			if err != nil {
				t.Fatal(err)
			}
			var last metrics.Record
			for _, r := range records {
				due := r.Kind == metrics.KindTrain && slices.Contains([]int{1, 2, 4, 6}, r.Step)
				grads := 0.0
				for _, name := range names {
					x, ok := r.Value(name)
					if ok != due || ok && !(x > 0) {
						t.Errorf("%s record of step %d: %s = %v, %v; want it: %v", r.Kind, r.Step, name, x, ok, due)
					}
					if strings.HasSuffix(name, "grad_norm") {
						grads += x * x
					}
				}
				if !due {
					continue
				}
				last = r
				if all, _ := r.Value("grad_norm"); math.Abs(math.Sqrt(grads)/all-1) > 1e-9 {
					t.Errorf("step %d: gradients of all parts are %g, grad_norm is %g", r.Step, math.Sqrt(grads), all)
				}
			}
			var weights, all float64
			for _, name := range names {
				if x, _ := last.Value(name); strings.HasSuffix(name, "weight_norm") {
					weights += x * x
				}
			}
			for _, name := range trainer.store.Names() {
				all += optim.Squares(trainer.store.Get(name))
			}
			if math.Abs(weights/all-1) > 1e-9 {
				t.Errorf("the squares of the weights of all parts are %g, those of the store %g", weights, all)
			}
		})
	}
}

// TestStageActivations: the first step's are those of a session of its own on the same weights and images.
func TestStageActivations(t *testing.T) {
	cfg := imageConfig(t)
	cfg.Train.Steps = 1
	dir := filepath.Join(t.TempDir(), "out")
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "fresh"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cfg.Model.NewSession(fresh.dims, fresh.store, model.Options{Sites: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := task.Batches(context.Background(), fresh.task, s, task.Feed{Mode: model.Score, Split: task.Training, Seed: cfg.Seed})
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := batches.Next()
	if err == nil {
		err = p.Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		x := p.Site(fmt.Sprintf("block%d.0.output", i+1)).Float64s()
		var sum float64
		for _, v := range x {
			sum += v * v
		}
		want := math.Sqrt(sum / float64(len(x)))
		if got, _ := records[1].Value(fmt.Sprintf("stage%d_activation_rms", i+1)); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("stage %d: activations of root mean square %g, want %g", i+1, got, want)
		}
	}
}
