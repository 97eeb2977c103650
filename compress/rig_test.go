package compress

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/factor"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/recipe"
	"sparrow/train"
)

// trainedRun trains a small decoder on a text of its own, once for all tests, and returns its folder.
func trainedRun(t *testing.T) string {
	t.Helper()
	return once(t, "decoder", func(dir string) recipe.Config {
		cfg := recipe.Default()
		from := text.DefaultFiles()
		from.Paths, from.SeqLen = []string{textFile(t, dir)}, 16
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate = 80, 8, 1e-2
		cfg.Eval.Every, cfg.Eval.Tokens = 80, 512
		return cfg
	})
}

// trainedEncoder does so with a classifier of texts of several lengths.
func trainedEncoder(t *testing.T) string {
	t.Helper()
	return once(t, "encoder", func(dir string) recipe.Config {
		path := filepath.Join(dir, "texts.tsv")
		var text strings.Builder
		text.WriteString("text\tlabel\n")
		for i := range 80 {
			words := []string{"good", "bad"}[i%2] + strings.Repeat(" word", i%11)
			fmt.Fprintf(&text, "%s %d\t%s\n", words, i%7, []string{"pos", "neg"}[i%2])
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := recipe.Default()
		cfg.Model = recipe.ModelOf(encoder.Default())
		from := labelled.DefaultTable()
		from.Train, from.TextColumns, from.LabelColumn = path, []string{"text"}, "label"
		from.Tokenizer, from.MinCount, from.MaxLen, from.ValidationShare = "word", 1, 16, 0.2
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate = 30, 8, 1e-2
		cfg.Eval.Every = 30
		return cfg
	})
}

// trainedFaViT does so with a classifier of images.
func trainedFaViT(t *testing.T) string {
	t.Helper()
	return once(t, "favit", func(dir string) recipe.Config {
		cfg := recipe.Default()
		f := favit.DefaultBody()
		from := images.DefaultFolder()
		from.Root, from.ValidationShare = filepath.Join(dir, "images"), 0.25
		from.Augment = &images.AugmentConfig{Flip: true, Mixup: 0.8, LabelSmoothing: 0.1}
		cfg.Data = recipe.From(from)
		bars(t, from.Root)
		f.Variant, f.Window = "tiny", 3
		f.Widths, f.Depths, f.Heads = []int{16, 16, 16}, []int{1, 1, 1}, []int{1, 1, 1}
		f.MLPRatios, f.Reductions = []int{2, 2, 2}, []int{2, 1, 1}
		cfg.Model = recipe.ModelOf(f)
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate = 30, 8, 1e-2
		cfg.Eval.Every, cfg.Eval.Tokens = 30, 0
		return cfg
	})
}

// bars writes images of two classes, of a light bar at the top or at the bottom.
func bars(t *testing.T, root string) {
	t.Helper()
	const side = 12
	for class := range 2 {
		dir := filepath.Join(root, []string{"top", "bottom"}[class])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			x := image.NewGray(image.Rect(0, 0, side, side))
			for p := range x.Pix {
				x.Pix[p] = uint8(5*i + p%7)
				if p/side*2/side == class {
					x.Pix[p] += 100
				}
			}
			var b bytes.Buffer
			if err := png.Encode(&b, x); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var (
	runs   = map[string]string{}
	runsMu sync.Mutex
	shared string // folder of the runs, removed at the end
)

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "compress-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(shared)
	os.Exit(code)
}

// once trains a run the first time it is asked for. Nobody may change its folder.
func once(t *testing.T, name string, config func(dir string) recipe.Config) string {
	t.Helper()
	runsMu.Lock()
	defer runsMu.Unlock()
	if runs[name] == "" {
		dir := filepath.Join(shared, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		run := filepath.Join(dir, "run")
		mustTrain(t, config(dir), run)
		runs[name] = run
	}
	return runs[name]
}

func textFile(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "line %d of %d\n", i, i*i%17)
	}
	path := filepath.Join(dir, "corpus.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tensorOf is a matrix of different numbers.
func tensorOf(rows, cols int) *tensor.Dense {
	d := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(rows, cols))
	for i := range d.Float32s() {
		d.Float32s()[i] = float32(math.Sin(float64(i*i + 1)))
	}
	return d
}

func mustTrain(t *testing.T, cfg recipe.Config, dir string) {
	t.Helper()
	trainer, err := train.New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
}

// configOf is a compression of a run, with a cache of its own.
func configOf(t *testing.T, from, method string, ratio float64) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Compress.From, cfg.Compress.Method, cfg.Compress.Ratio, cfg.Compress.Cache = from, method, ratio, t.TempDir()
	cfg.Compress.Calibration.Examples = 64
	cfg.Compress.DSFormer.Block, cfg.Compress.DSFormer.Atoms = 8, []int{8, 12} // the layers are small
	return cfg
}

func mustOpen(t *testing.T, cfg Config) *compression {
	t.Helper()
	s, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tried is a method under some settings, for layers that are made up.
type tried struct {
	name string
	cfg  Settings
}

func (m tried) target(t Target, w *factor.Matrix) Target {
	t.Weight, t.Method, t.Storage = w, m.name, m.cfg.Quantize.storage()
	return t
}

func (m tried) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	return m.cfg.options(ctx, m.target(t, w), s)
}

func (m tried) apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error) {
	if o.Method == "" {
		o.Method = m.name
	}
	return m.cfg.apply(ctx, m.target(t, w), s, o)
}
