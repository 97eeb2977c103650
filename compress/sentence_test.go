package compress

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/data/labelled"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// trainedSentences is a run that has trained a sentence encoder on pairs of texts with scores.
func trainedSentences(t *testing.T) string {
	t.Helper()
	return sentencesTrained(t, encoder.Default().Dropout)
}

func sentencesTrained(t *testing.T, dropout float64) string {
	t.Helper()
	return once(t, fmt.Sprintf("sentences-%g", dropout), func(dir string) recipe.Config {
		path := filepath.Join(dir, "pairs.tsv")
		var lines strings.Builder
		lines.WriteString("sentence1\tsentence2\tscore\n")
		words := []string{"red", "green", "blue", "cat", "dog", "bird"}
		for i := range 90 {
			a, b, score := i%6, i/2%6, 0
			if a == b {
				score = 5
			}
			fmt.Fprintf(&lines, "a %s%s\tthe %s%s\t%d\n", words[a], strings.Repeat(" one", i%5), words[b], strings.Repeat(" one", i%7), score)
		}
		if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := recipe.Default()
		body := encoder.Default()
		body.DModel, body.NLayer, body.DFF, body.Attention.NHead = 16, 1, 24, 2
		body.Sentence, body.Dropout = &encoder.Sentence{Pooling: "mean"}, dropout
		cfg.Model = recipe.ModelOf(body)
		from := labelled.DefaultTable()
		from.Train, from.TextColumns, from.LabelColumn = path, []string{"sentence1", "sentence2"}, "score"
		from.Tokenizer, from.MinCount, from.MaxLen, from.ValidationShare = "word", 1, 16, 0.2
		cfg.Data = recipe.From(from)
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate = 40, 8, 3e-3
		cfg.Eval.Every, cfg.Eval.Metric = 40, "spearman"
		return cfg
	})
}

// TestSentences: methods that read gradients, and such as read inputs, make a sentence encoder smaller and keep their promises,
// also when it is fine-tuned on the same loss; and the manifest of the result names the data.
func TestSentences(t *testing.T) {
	for _, method := range []string{"fwsvd", "dsformer", "svd_llm"} {
		t.Run(method, func(t *testing.T) {
			cfg := configOf(t, trainedSentences(t), method, 0.5)
			tune := &FinetuneConfig{}
			tune.SetDefaults()
			tune.Steps = 20
			cfg.Compress.Finetune = tune
			dir := filepath.Join(t.TempDir(), "out")
			r := mustRun(t, cfg, dir)
			mustVerify(t, dir)
			if r.Tuned.Loss() >= r.Compressed.Loss() {
				t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
			}
			hash := mustOpen(t, cfg).calibrated(t)
			for _, at := range []string{"checkpoints/step-000000", r.Checkpoint} {
				c, err := checkpoints.Open(filepath.Join(dir, filepath.FromSlash(at)))
				if err != nil {
					t.Fatal(err)
				}
				if got := c.Manifest().Calibration; got == nil || *got != (checkpoints.Calibration{Examples: 64, Length: 8, Seed: 1, Data: hash}) {
					t.Errorf("%s was calibrated by %+v, want 64 samples of %s", at, got, hash)
				}
			}
		})
	}
}

// TestSentencesLearnFromTheirParent: without the scores, by the parent's vectors alone, those of the compressed encoder come
// back to them.
func TestSentencesLearnFromTheirParent(t *testing.T) {
	ctx, parent := context.Background(), sentencesTrained(t, 0)
	cfg := configOf(t, parent, "svd", 0.8)
	tune := &FinetuneConfig{}
	tune.SetDefaults()
	tune.Steps, tune.Distill = 20, &recipe.Distill{}
	tune.Distill.SetDefaults()
	tune.Distill.Weight = 1
	cfg.Compress.Finetune = tune
	dir := filepath.Join(t.TempDir(), "out")
	r := mustRun(t, cfg, dir)
	vectors := func(of string) [][]float32 {
		l, err := saved.Open(of, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := l.Task.(task.Embedder).Embed(ctx, l.Session, []string{"a red", "the cat one one", "a bird one", "the blue"}, task.Vectors{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want := vectors(parent)
	distance := func(at string) (sum float64) {
		for i, x := range vectors(filepath.Join(dir, filepath.FromSlash(at))) {
			var ab, aa, bb float64
			for j, a := range x {
				b := want[i][j]
				ab, aa, bb = ab+float64(a*b), aa+float64(a*a), bb+float64(b*b)
			}
			sum += 1 - ab/math.Sqrt(aa*bb)
		}
		return sum
	}
	if before, after := distance("checkpoints/step-000000"), distance(r.Checkpoint); !(after < before/4) {
		t.Errorf("the vectors are at distance %g from the parent's, %g before", after, before)
	}
}

// calibrated is the hash of the data that a compression reads.
func (s *compression) calibrated(t *testing.T) string {
	t.Helper()
	if err := s.data.Read(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.data.Facts().Hash
}

// TestFisherOfSentences: Fisher information is that of the loss of pairs, each by itself.
func TestFisherOfSentences(t *testing.T) {
	ctx := context.Background()
	cfg := configOf(t, trainedSentences(t), "fwsvd", 0.5)
	cfg.Compress.Calibration.Examples = 12
	s := mustOpen(t, cfg)
	if err := s.calibrate(ctx); err != nil {
		t.Fatal(err)
	}
	grads := nn.NewGradients(s.loaded.Session.Store())
	pairs, err := s.loaded.Calibrate(ctx, s.data, 1, cfg.Seed, model.Options{Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]float64{}
	for range 12 {
		p, n, err := pairs.Next()
		if err == nil {
			err = p.Run()
		}
		if err != nil || n != 1 {
			t.Fatalf("%d pairs: %v", n, err)
		}
		for _, x := range s.targets {
			if rows[x.Name] == nil {
				rows[x.Name] = make([]float64, x.Out)
			}
			for i, g := range grads.Get(x.Name + ".weight").Float32s() {
				rows[x.Name][i/x.In] += float64(g) * float64(g) / 12
			}
		}
	}
	for _, x := range s.targets {
		for i, want := range rows[x.Name] {
			if got := s.stats[x.Name].Rows[i]; math.Abs(got-want) > 1e-6*want {
				t.Fatalf("%s: output %d has %g, by a loop %g", x.Name, i, got, want)
			}
		}
	}
}

// TestNoCalibration: where no data is read the manifest names none.
func TestNoCalibration(t *testing.T) {
	for name, from := range map[string]string{"text": trainedRun(t), "pairs": trainedSentences(t)} {
		cfg := configOf(t, from, "svd", 0.5)
		cfg.Compress.Allocation, cfg.Unmeasured = "uniform", true
		dir := filepath.Join(t.TempDir(), "out")
		mustRun(t, cfg, dir)
		l, err := saved.Open(dir, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c := l.Files.Manifest().Calibration; c != nil {
			t.Errorf("%s: calibrated by %+v, want no data", name, c)
		}
	}
}
