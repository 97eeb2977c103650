package tests

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// distillCases are networks of each kind of scores, with what a batch of theirs is.
func distillCases() map[string]func() (recipe.Model, model.Dims, func(*model.Program)) {
	text := func(n, below int) []int {
		r, out := rng.New(5, "text", 0), make([]int, n)
		for i := range out {
			out[i] = r.Intn(below)
		}
		return out
	}
	small := func(kind string) recipe.Model {
		if kind == "encoder" {
			b := encoder.Default()
			b.DModel, b.NLayer, b.DFF, b.Attention.NHead, b.Dropout = 8, 1, 12, 2, 0
			return recipe.ModelOf(b)
		}
		b := decoder.Default()
		b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 8, 1, 12, 2
		return recipe.ModelOf(b)
	}
	return map[string]func() (recipe.Model, model.Dims, func(*model.Program)){
		"decoder": func() (recipe.Model, model.Dims, func(*model.Program)) {
			return small("decoder"), model.Dims{VocabSize: 11, Context: 6}, func(p *model.Program) {
				targets := text(12, 11)
				targets[3] = op.Ignored
				p.Feed(map[string][]int{"tokens": text(12, 11), "targets": targets})
			}
		},
		"classifier": func() (recipe.Model, model.Dims, func(*model.Program)) {
			return small("encoder"), model.Dims{VocabSize: 11, Context: 6, Classes: 3}, func(p *model.Program) {
				p.Feed(map[string][]int{"tokens": text(12, 11), "lengths": {6, 3}, "targets": {2, op.Ignored}})
			}
		},
		"sentences": func() (recipe.Model, model.Dims, func(*model.Program)) {
			b := encoder.Default()
			b.DModel, b.NLayer, b.DFF, b.Attention.NHead, b.Dropout = 8, 1, 12, 2, 0
			b.Sentence = &encoder.Sentence{Pooling: "mean"}
			return recipe.ModelOf(b), model.Dims{VocabSize: 11, Context: 6}, func(p *model.Program) {
				p.Feed(map[string][]int{"tokens": text(24, 11), "lengths": {6, 3, 4, 5}, "targets": {0, op.Ignored}})
				shares := make([]float32, 24)
				for i := range shares {
					shares[i] = float32(i%7) / 8
				}
				p.Floats("shares").Set(shares)
				p.Floats("truth").Set([]float32{0.75, 0.5})
			}
		},
		"images": func() (recipe.Model, model.Dims, func(*model.Program)) {
			cfg, dims := smallImages()
			return cfg, dims, func(p *model.Program) {
				targets := make([]float32, 2*dims.Classes)
				targets[0], targets[1] = 0.75, 0.25 // the other image does not count
				p.Floats("pixels").Set(drawnPixels(2 * dims.Context * dims.Channels))
				p.Floats("distribution").Set(targets)
			}
		},
	}
}

// rowsOf two targets: those of a sentence encoder are pairs.
func rowsOf(n model.Network) int {
	if _, pairs := n.(model.Sentences); pairs {
		return 4
	}
	return 2
}

// smallImages is a [model] of two stages, and the sizes of its images.
func smallImages() (recipe.Model, model.Dims) {
	f := favit.DefaultBody()
	f.Widths, f.Depths, f.Heads, f.MLPRatios, f.Reductions = []int{16, 24}, []int{2, 1}, []int{1, 3}, []int{2, 3}, []int{2, 1}
	f.StemKernel, f.StemStride, f.Window = 3, 2, 3
	return recipe.ModelOf(f), model.ImageDims(5, 15, 2)
}

func drawnPixels(n int) []float32 {
	x := make([]float32, n)
	rng.FillNormal(rng.New(2, "test/noise", 0), x, 0, 1)
	return x
}

// TestDistillFromATeacher: the loss is the blend of the task's and the distance to the teacher's scores for the same batch,
// by its equation from both networks' scores; gradients are those of that loss, by central differences in float64.
func TestDistillFromATeacher(t *testing.T) {
	for name, makes := range distillCases() {
		t.Run(name, func(t *testing.T) {
			cfg, dims, feed := makes()
			session := func(seed uint64, opts model.Options) (*model.Session, *nn.Store) {
				store := nn.NewStore(tensor.Float64)
				opts.Seed = seed
				s, err := cfg.NewSession(dims, store, opts)
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range store.Names() { // far from zero, where scores would be alike
					rng.FillNormal(rng.New(seed, name, 1), store.Get(name).Float64s(), 0, 0.5)
				}
				return s, store
			}
			train := func(opts model.Options, wrap func(model.Network) model.Network) (*model.Program, *nn.Store, *nn.Gradients) {
				_, store := session(1, opts)
				grads := nn.NewGradients(store)
				opts.Sink = grads
				opts.Seed = 1
				n, err := cfg.Network(dims)
				if err != nil {
					t.Fatal(err)
				}
				s, err := model.NewSession(wrap(n), store, opts)
				if err != nil {
					t.Fatal(err)
				}
				p, err := s.Program(model.Train, dims.Shape(rowsOf(n), dims.Context))
				if err != nil {
					t.Fatal(err)
				}
				feed(p)
				return p, store, grads
			}
			teacher, _ := session(2, model.Options{})
			self, _ := session(1, model.Options{})
			run := func(p *model.Program) float64 {
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				return p.Loss()
			}
			with := func(weight float64) (*model.Program, *nn.Store, *nn.Gradients) {
				p, store, grads := train(model.Options{}, func(n model.Network) model.Network {
					return model.Distilled{Network: n, Output: model.Lesson(n), Weight: weight, Temperature: 2}
				})
				if err := model.Teach(p, teacher, model.Lesson(teacher.Network())); err != nil {
					t.Fatal(err)
				}
				return p, store, grads
			}
			plain, _, _ := train(model.Options{}, func(n model.Network) model.Network { return n })
			task := run(plain)
			distance, _, _ := with(1)
			far := run(distance)
			p, store, grads := with(0.3)
			if got, want := run(p), 0.7*task+0.3*far; math.Abs(got-want) > 1e-12*(1+want) || far < 1e-3 {
				t.Errorf("loss %g, want %g of the task's %g and the distance %g", got, want, task, far)
			}
			if err := model.Teach(distance, self, model.Lesson(self.Network())); err != nil {
				t.Fatal(err)
			}
			if near := run(distance); math.Abs(near) > 1e-9 {
				t.Errorf("a teacher of the student's own scores is at distance %g", near)
			}
			var got []float64
			names := store.Names()
			for _, name := range names {
				got = append(got, grads.Get(name).Float64s()[0])
			}
			for i, name := range names {
				w := store.Get(name).Float64s()
				const h = 1e-5
				w[0] += h
				up := run(p)
				w[0] -= 2 * h
				down := run(p)
				w[0] += h
				if want := (up - down) / (2 * h); math.Abs(got[i]-want) > 1e-6*(1+math.Abs(want)) {
					t.Errorf("gradient of %s is %g, want %g", name, got[i], want)
				}
			}
		})
	}
}

// TestTeachRefuses: a teacher of other scores.
func TestTeachRefuses(t *testing.T) {
	cfg, dims, feed := distillCases()["decoder"]()
	store := nn.NewStore(tensor.Float64)
	n, err := cfg.Network(dims)
	if err != nil {
		t.Fatal(err)
	}
	s, err := model.NewSession(model.Distilled{Network: n, Output: "logits", Weight: 0.5, Temperature: 1}, store, model.Options{Sink: nn.NewGradients(store)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Program(model.Train, model.Shape{Rows: 2, Length: dims.Context})
	if err != nil {
		t.Fatal(err)
	}
	feed(p)
	dims.VocabSize = 12
	other, err := cfg.NewSession(dims, nn.NewStore(tensor.Float64), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Teach(p, other, "logits"); err == nil || !strings.Contains(err.Error(), "want the student's (12, 11)") {
		t.Errorf("%v", err)
	}
}
