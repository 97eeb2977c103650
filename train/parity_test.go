package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/data"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/train/optim"
)

// goldenStream feeds the batches of a golden run.
type goldenStream struct {
	task.Stream
	program         *model.Program
	inputs, targets []int32
	batch, next     int // tokens a batch, and batches fed
}

func (s *goldenStream) Next() (*model.Program, int, error) {
	ids := func(x []int32) []int {
		out := make([]int, s.batch)
		for i := range out {
			out[i] = int(x[s.next*s.batch+i])
		}
		return out
	}
	in, want := ids(s.inputs), ids(s.targets)
	s.next++
	s.program.Feed(map[string][]int{"tokens": in, "targets": want})
	count := 0
	for _, w := range want {
		if w >= 0 {
			count++
		}
	}
	return s.program, count, nil
}

func (s *goldenStream) Cursor() data.Cursor { return data.Cursor{Position: s.next} }

// Tolerances over 20 steps: the golden losses are of float64; PyTorch's own float32 run is within 5e-7 of them.
const (
	parityLoss   = 2e-6 // float32, absolute, in nats
	parityLoss64 = 1e-10
	parityNorm   = 1e-4 // relative, of gradient norms before clipping
)

// TestTrainerParity: from the same weights and batches as PyTorch, the trainer's own step, accumulation, schedule, clipping and AdamW
// included, has the losses and gradient norms of 20 steps of PyTorch; every one of these is clipped.
func TestTrainerParity(t *testing.T) {
	for _, name := range []string{"llama", "gpt2"} {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, recompute := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/recompute=%v", name, dtype, recompute), func(t *testing.T) { parityOf(t, name, dtype, recompute) })
			}
		}
	}
}

func parityOf(t *testing.T, name string, dtype tensor.Dtype, recompute bool) {
	file, err := npz.Open("../tests/testdata/" + name + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	get := func(key string, into any) {
		t.Helper()
		if err := file.Read(key+".npy", into); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	var c, inputs, targets []int32
	var losses, norms []float64
	get("config", &c)
	get("inputs", &inputs)
	get("targets", &targets)
	get("loss64", &losses)
	get("grad_norm64", &norms)
	body := decoder.Default()
	body.DModel, body.NLayer, body.DFF, body.Attention.NHead, body.CheckpointActivations = int(c[1]), int(c[2]), int(c[5]), int(c[3]), recompute
	if c[4] != c[3] {
		body.Attention.OneOf, body.Attention.NKVHead = attention.As(attention.GQA{}), int(c[4])
	}
	rows, length := int(c[7]), int(c[8])
	dims := model.Dims{VocabSize: int(c[0]), Context: length}
	if name == "gpt2" {
		body.Norm, body.MLP, body.Positions = "layer_norm", "gelu_tanh", "learned"
		body.Bias, body.Tied, body.Attention.Of = true, true, attention.MHA{Projections: attention.Projections{Bias: true}}
		dims.Context = int(c[6])
	}
	cfg := recipe.Default()
	cfg.Model, cfg.Eval.Every = recipe.ModelOf(body), 0
	cfg.Train.Steps, cfg.Train.LearningRate, cfg.Train.Schedule, cfg.Train.WarmupSteps = len(losses), 3e-3, "constant", 0
	cfg.Train.Beta1, cfg.Train.Beta2, cfg.Train.Eps, cfg.Train.WeightDecay, cfg.Train.GradClip = 0.9, 0.95, 1e-8, 0.1, 1
	store := nn.NewStore(dtype)
	grads := nn.NewGradients(store)
	session, err := cfg.Model.NewSession(dims, store, model.Options{Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range file.Keys() {
		parameter, ok := strings.CutPrefix(strings.TrimSuffix(key, ".npy"), "weight.")
		if !ok {
			continue
		}
		var w []float32
		get("weight."+parameter, &w)
		for i, x := range w {
			nn.SetAt(store.Get(parameter), i, float64(x))
		}
	}
	program, err := session.Program(model.Train, model.Shape{Rows: rows, Length: length})
	if err != nil {
		t.Fatal(err)
	}
	trainer := &Trainer{
		cfg: cfg, store: store, grads: grads, session: session, last: len(losses), facts: task.Facts{Unit: "tokens"},
		stream:    &goldenStream{program: program, inputs: inputs, targets: targets, batch: rows * length},
		optimizer: optim.New(cfg.Train, store), schedule: optim.ScheduleOf(cfg.Train),
	}
	tolerance := parityLoss
	if dtype == tensor.Float64 {
		tolerance = parityLoss64
	}
	for step, want := range losses {
		r, err := trainer.step()
		if err != nil {
			t.Fatal(err)
		}
		if got := lossOf(r, "loss"); !(math.Abs(got-want) <= tolerance) {
			t.Errorf("step %d: loss %.9f, want %.9f", step, got, want)
		}
		if got := lossOf(r, "grad_norm"); !(math.Abs(got/norms[step]-1) <= parityNorm) {
			t.Errorf("step %d: gradient norm %.7f, want %.7f", step, got, norms[step])
		}
		if norms[step] <= 1 {
			t.Errorf("step %d is not clipped", step)
		}
	}
}
