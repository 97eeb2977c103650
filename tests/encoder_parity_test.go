package tests

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// encoderConfig is the network of testdata/encoder.npz or regression.npz.
func (g golden) encoderConfig(name string) (cfg recipe.Model, dims model.Dims, batch, seqLen int) {
	c := read[int32](g, "config")
	body := encoder.Default()
	body.DModel, body.NLayer, body.Attention.NHead, body.DFF = int(c[1]), int(c[2]), int(c[3]), int(c[4])
	body.Dropout = 0
	cfg = recipe.ModelOf(body)
	dims = model.Dims{VocabSize: int(c[0]), Context: int(c[5]), Regression: name == "regression"}
	if !dims.Regression {
		dims.Classes = int(c[6])
	}
	return cfg, dims, int(c[7]), int(c[8])
}

// examples are a batch of labelled texts.
type examples struct {
	tokens, types, lengths, labels []int
	scores                         []float64
}

// feed gives the batch to a program.
func (x examples) feed(p *model.Program) {
	p.Feed(map[string][]int{"tokens": x.tokens, "types": x.types, "lengths": x.lengths, "targets": x.labels})
	if p.Has("truth") {
		for i, score := range x.scores {
			p.Floats("truth").Put(i, 0, score)
		}
	}
}

// examples is the batch of one step, padded to seqLen tokens.
func (g golden) examples(step, batch, stored, seqLen int) examples {
	pad := func(key string) []int {
		out := make([]int, batch*seqLen)
		all := widen(read[int32](g, key)[step*batch*stored:])
		for i := range batch {
			copy(out[i*seqLen:(i+1)*seqLen], all[i*stored:(i+1)*stored])
		}
		return out
	}
	row := func(key string) []int { return widen(read[int32](g, key)[step*batch : (step+1)*batch]) }
	return examples{
		tokens: pad("tokens"), types: pad("types"), lengths: row("lengths"), labels: row("labels"),
		scores: read[float64](g, "scores")[step*batch : (step+1)*batch],
	}
}

// encoderSession is a session with the golden initial weights.
func (g golden) encoderSession(name string, dtype tensor.Dtype, recompute, poison bool) (*model.Session, *nn.Gradients) {
	g.t.Helper()
	cfg, dims, _, _ := g.encoderConfig(name)
	configs.Edit(&cfg.OneOf, func(b *encoder.Config) { b.CheckpointActivations = recompute })
	store := nn.NewStore(dtype)
	grads := nn.NewGradients(store)
	s, err := cfg.NewSession(dims, store, model.Options{Sink: grads, Poison: poison})
	if err != nil {
		g.t.Fatal(err)
	}
	g.load(store)
	return s, grads
}

// TestEncoderParity: from the same weights and batches of padded pairs as
// PyTorch's nn.TransformerEncoder between BERT's embeddings and pooler, scores and every gradient at step 0 and the losses of all AdamW steps
// are equal, of a classification and of a regression.
func TestEncoderParity(t *testing.T) {
	for _, name := range []string{"encoder", "regression"} {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, variant := range []struct{ recompute, poison bool }{{false, false}, {true, true}} {
				t.Run(fmt.Sprintf("%s/%v/recompute=%v", name, dtype, variant.recompute), func(t *testing.T) {
					encoderParity(t, name, dtype, variant.recompute, variant.poison)
				})
			}
		}
	}
}

func encoderParity(t *testing.T, name string, dtype tensor.Dtype, recompute, poison bool) {
	g := openGolden(t, name)
	_, _, batch, seqLen := g.encoderConfig(name)
	session, grads := g.encoderSession(name, dtype, recompute, poison)
	store := session.Store()
	g.compareScores(session, dtype)
	program, err := session.Program(model.Train, model.Shape{Rows: batch, Length: seqLen})
	if err != nil {
		t.Fatal(err)
	}
	optimizer := optim.NewAdamW(recipe.Train{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, store)
	losses, norms := read[float64](g, "loss64"), read[float64](g, "grad_norm64")
	tolerance := lossTolerance
	if dtype == tensor.Float64 {
		tolerance = lossTolerance64
	}
	for step := range losses {
		x := g.examples(step, batch, seqLen, seqLen)
		x.feed(program)
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		scale := 1 / float64(targetsOf(x))
		if got := program.Loss() * scale; !(math.Abs(got-losses[step]) <= tolerance) {
			t.Errorf("step %d: loss %.9f, want %.9f", step, got, losses[step])
		}
		if step == 0 {
			g.compareGradients(grads, scale, dtype)
		}
		norm := optim.GradNorm(grads) * scale
		if !(math.Abs(norm/norms[step]-1) <= 1e-4) {
			t.Errorf("step %d: gradient norm %.7f, want %.7f", step, norm, norms[step])
		}
		optim.UpdateAll(optimizer, grads, step+1, 3e-3, scale*min(1, 1/(norm+1e-6)))
	}
}

func targetsOf(x examples) int {
	n := 0
	for _, label := range x.labels {
		if label != op.Ignored {
			n++
		}
	}
	return n
}

// compareScores compares the first batch's scores, as a scoring program has them.
func (g golden) compareScores(s *model.Session, dtype tensor.Dtype) {
	g.t.Helper()
	_, _, batch, seqLen := g.encoderConfig("")
	p, err := s.Program(model.Score, model.Shape{Rows: batch, Length: seqLen})
	if err != nil {
		g.t.Fatal(err)
	}
	g.examples(0, batch, seqLen, seqLen).feed(p)
	if err := p.Run(); err != nil {
		g.t.Fatal(err)
	}
	tolerance := 5e-6
	if dtype == tensor.Float64 {
		tolerance = 1e-12
	}
	got, want := p.Output("logits").Float64s(), read[float64](g, "logits")
	if len(got) != len(want) {
		g.t.Fatalf("%d scores, want %d", len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= tolerance) {
			g.t.Errorf("score %d: %.15g, want %.15g", i, got[i], want[i])
		}
	}
}

// TestEncoderPadding: more padding, and rows without a text, change neither
// scores nor loss nor gradients.
func TestEncoderPadding(t *testing.T) {
	g := openGolden(t, "encoder")
	_, dims, batch, seqLen := g.encoderConfig("encoder")
	type run struct {
		logits []float64
		loss   float64
		grads  *nn.Gradients
	}
	measure := func(rows, length int) run {
		s, grads := g.encoderSession("encoder", tensor.Float64, false, true)
		x := g.examples(0, batch, seqLen, length)
		for range rows - batch {
			x.tokens, x.types = append(x.tokens, make([]int, length)...), append(x.types, make([]int, length)...)
			x.lengths, x.labels = append(x.lengths, 0), append(x.labels, op.Ignored)
		}
		score, err := s.Program(model.Score, model.Shape{Rows: rows, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		program, err := s.Program(model.Train, model.Shape{Rows: rows, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		x.feed(score)
		if err := score.Run(); err != nil {
			t.Fatal(err)
		}
		r := run{logits: score.Output("logits").Float64s()[:batch*dims.Classes], grads: grads}
		x.feed(program)
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		r.loss = program.Loss()
		return r
	}
	const tolerance = 1e-13 // sums of the same terms in another order, in float64
	near := func(what string, got, want []float64) {
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= tolerance*(1+math.Abs(want[i]))) {
				t.Errorf("%s: value %d is %.17g, without more padding %.17g", what, i, got[i], want[i])
				return
			}
		}
	}
	want := measure(batch, seqLen)
	for _, c := range []struct{ rows, length int }{{batch, seqLen + 5}, {batch + 2, seqLen}, {batch + 1, seqLen + 3}} {
		got := measure(c.rows, c.length)
		near("scores", got.logits, want.logits)
		near("loss", []float64{got.loss}, []float64{want.loss})
		for _, name := range want.grads.Names() {
			near("gradient of "+name, got.grads.Get(name).Float64s(), want.grads.Get(name).Float64s())
		}
	}
}

// TestMaskedParity: the losses and gradients of a masked language model are
// PyTorch's, whichever rows of a batch are predicted.
func TestMaskedParity(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		t.Run(dtype.String(), func(t *testing.T) {
			g := openGolden(t, "masked")
			cfg, dims, batch, seqLen := g.encoderConfig("masked")
			store := nn.NewStore(dtype)
			grads := nn.NewGradients(store)
			session, err := cfg.NewSession(dims, store, model.Options{Sink: grads, Poison: true})
			if err != nil {
				t.Fatal(err)
			}
			g.load(store)
			program, err := session.Program(model.Train, model.Shape{Rows: batch, Length: seqLen})
			if err != nil {
				t.Fatal(err)
			}
			optimizer := optim.NewAdamW(recipe.Train{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, store)
			losses, norms := read[float64](g, "loss64"), read[float64](g, "grad_norm64")
			tolerance := lossTolerance
			if dtype == tensor.Float64 {
				tolerance = lossTolerance64
			}
			for step := range losses {
				x, count := g.maskedBatch(step, batch, seqLen)
				program.Feed(x)
				if err := program.Run(); err != nil {
					t.Fatal(err)
				}
				scale := 1 / float64(count)
				if got := program.Loss() * scale; !(math.Abs(got-losses[step]) <= tolerance) {
					t.Errorf("step %d: loss %.9f, want %.9f", step, got, losses[step])
				}
				if step == 0 {
					g.compareGradients(grads, scale, dtype)
				}
				norm := optim.GradNorm(grads) * scale
				if !(math.Abs(norm/norms[step]-1) <= 1e-4) {
					t.Errorf("step %d: gradient norm %.7f, want %.7f", step, norm, norms[step])
				}
				optim.UpdateAll(optimizer, grads, step+1, 3e-3, scale*min(1, 1/(norm+1e-6)))
			}
		})
	}
}

// maskedBatch is the batch of one step of testdata/masked.npz, and its targets.
func (g golden) maskedBatch(step, batch, seqLen int) (x map[string][]int, count int) {
	n := batch * seqLen
	var rows, targets []int
	x = map[string][]int{}
	x["tokens"] = widen(read[int32](g, "tokens")[step*n : (step+1)*n])
	x["lengths"] = widen(read[int32](g, "lengths")[step*batch : (step+1)*batch])
	for i, target := range widen(read[int32](g, "labels")[step*n : (step+1)*n]) {
		if target != op.Ignored {
			rows, targets = append(rows, i), append(targets, target)
		}
	}
	count = len(rows)
	for len(rows) < batch*model.MaskedTokens(seqLen) {
		rows, targets = append(rows, 0), append(targets, op.Ignored)
	}
	x["rows"], x["targets"] = rows, targets
	return x, count
}
