package compress

import (
	"bytes"
	"context"
	"math"
	"os"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/recipe"
)

// TestCalibrationIsQuiet: statistics are those of the network and the data as they are: dropout, dropped paths and augmentation, which
// training has, change none of them.
func TestCalibrationIsQuiet(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(*testing.T) string
		loud func(*recipe.Config) // what a network or data would be in training
	}{
		"encoder": {trainedEncoder, func(cfg *recipe.Config) {
			configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.Dropout = 0.5 })
		}},
		"favit": {trainedFaViT, func(cfg *recipe.Config) {
			configs.Edit(&cfg.Model.OneOf, func(b *favit.Body) { b.DropPath = 0.5 })
			from := cfg.Data.Of.(images.Folder)
			from.Augment = &images.AugmentConfig{Flip: true, CropPadding: 3, Jitter: 0.9, Mixup: 1, LabelSmoothing: 0.3}
			cfg.Data = recipe.From(from)
		}},
	} {
		for _, method := range []string{"fwsvd", "svd_llm"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				var found []map[string]*Statistics
				for _, loud := range []bool{false, true} {
					cfg := configOf(t, c.run(t), method, 0.5)
					cfg.Compress.Calibration.Examples, cfg.Compress.Cache = 12, t.TempDir()
					s := mustOpen(t, cfg)
					quiet := s.loaded.Config
					if from, ok := quiet.Data.Of.(images.Folder); ok {
						from.Augment = nil
						quiet.Data = recipe.From(from)
					}
					if _, ok := quiet.Model.Of.(encoder.Config); ok {
						configs.Edit(&quiet.Model.OneOf, func(b *encoder.Config) { b.Dropout = 0 })
					}
					if loud {
						c.loud(&quiet)
					}
					data, err := s.loaded.Open(quiet)
					if err != nil {
						t.Fatal(err)
					}
					s.loaded.Config, s.data = quiet, data
					if err := s.calibrate(context.Background()); err != nil {
						t.Fatal(err)
					}
					found = append(found, s.stats)
				}
				for layer, quiet := range found[0] {
					loud := found[1][layer]
					if !slices.Equal(quiet.Rows, loud.Rows) || !slices.Equal(quiet.Cols, loud.Cols) || !slices.Equal(quiet.Moment, loud.Moment) || !slices.Equal(quiet.Size, loud.Size) {
						t.Fatalf("%s: statistics depend on what only training does", layer)
					}
					if quiet.Rows == nil && quiet.Moment == nil {
						t.Fatalf("%s has no statistics", layer)
					}
				}
			})
		}
	}
}

// differenceStep is that of central differences in float64, and differenceError what they may be off, relative to the largest sum.
const (
	differenceStep  = 1e-4
	differenceError = 1e-4 // of float32 gradients
)

// TestFisherByDifferences: Fisher information of two layers whose numbers of inputs and outputs differ is that of the definition, the
// sum over texts of the squared derivative of a text's loss by each weight, by central differences in float64 of the loss of one
// text at a time. Nothing of what sums it for a compression is used: the windows are cut from the text's bytes here, and the loss is a
// program's without gradients.
func TestFisherByDifferences(t *testing.T) {
	const length, windows = 6, 5
	dir := once(t, "differences", func(dir string) recipe.Config {
		cfg := recipe.Default()
		from := text.DefaultFiles()
		from.Paths, from.SeqLen = []string{textFile(t, dir)}, length
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) {
			b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 4, 2, 6, 1
		})
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate = 20, 8, 1e-2
		cfg.Eval.Every, cfg.Eval.Tokens = 20, 64
		return cfg
	})
	cfg := configOf(t, dir, "tfwsvd", 0.5)
	cfg.Compress.Calibration = CalibrationConfig{Examples: windows, FisherBatch: 1}
	cfg.Compress.Cache = t.TempDir()
	s := mustOpen(t, cfg)
	if err := s.calibrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Which windows were read, and that they are windows of the text.
	stream, err := s.loaded.Calibrate(context.Background(), s.data, 1, cfg.Seed, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.loaded.Config.Data.Of.(text.Files).Paths[0])
	if err != nil {
		t.Fatal(err)
	}
	var tokens, targets [][]int
	for range windows {
		p, n, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		in, out := slices.Clone(p.Ints("tokens")), slices.Clone(p.Ints("targets"))
		both := append(slices.Clone(in), out[len(out)-1])
		written := make([]byte, len(both))
		for i, x := range both {
			written[i] = byte(x)
		}
		if n != length || !slices.Equal(both[1:], out) || !bytes.Contains(content, written) {
			t.Fatalf("a window of %d targets, %d and %d, is none of the text", n, in, out)
		}
		tokens, targets = append(tokens, in), append(targets, out)
	}
	// The same network in float64, alone.
	store := nn.NewStore(tensor.Float64)
	session, err := s.loaded.Config.Model.NewSession(s.loaded.Dims, store, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		for i, x := range s.loaded.Session.Store().Get(name).Float32s() {
			store.Get(name).Float64s()[i] = float64(x)
		}
	}
	program, err := session.Program(model.Score, model.Shape{Rows: 1, Length: length})
	if err != nil {
		t.Fatal(err)
	}
	loss := func(k int) float64 {
		program.Feed(map[string][]int{"tokens": tokens[k], "targets": targets[k]})
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		return program.Loss()
	}
	for _, name := range []string{"model.layers.0.mlp.up_proj", "model.layers.1.mlp.down_proj", "model.layers.1.mlp.up_proj"} {
		x := s.targets[slices.IndexFunc(s.targets, func(x Target) bool { return x.Name == name })]
		if x.In == x.Out {
			t.Fatalf("%s is as wide as high", name)
		}
		w := store.Get(name + ".weight").Float64s()
		want, rows, cols := make([]float64, len(w)), make([]float64, x.Out), make([]float64, x.In)
		for i := range w {
			for k := range windows {
				was := w[i]
				w[i] = was + differenceStep
				up := loss(k)
				w[i] = was - differenceStep
				slope := (up - loss(k)) / (2 * differenceStep)
				w[i] = was
				want[i] += slope * slope / (windows * length)
			}
			rows[i/x.In] += want[i]
			cols[i%x.In] += want[i]
		}
		entries, err := s.entries(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string][2][]float64{"entries": {entries, want}, "rows": {s.stats[name].Rows, rows}, "columns": {s.stats[name].Cols, cols}} {
			if len(pair[0]) != len(pair[1]) {
				t.Fatalf("%s: %d %s, want %d", name, len(pair[0]), what, len(pair[1]))
			}
			largest := slices.Max(pair[1])
			for i, v := range pair[1] {
				if !(math.Abs(pair[0][i]-v) <= differenceError*largest) {
					t.Fatalf("%s: %s[%d] = %g, and %g by differences", name, what, i, pair[0][i], v)
				}
			}
		}
	}
}
