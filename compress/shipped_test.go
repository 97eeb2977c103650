package compress

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// Every config that is shipped makes a plan for the model that it names, the quickstart: here one block of it, on a text of
// the test's own.
func TestShippedConfigsFitTheirModel(t *testing.T) {
	from := once(t, "quickstart", func(dir string) recipe.Config {
		cfg, err := recipe.Load("../configs/quickstart.toml", nil)
		if err != nil {
			t.Fatal(err)
		}
		from := text.DefaultFiles()
		from.Paths, from.SeqLen = []string{textFile(t, dir)}, 16
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.NLayer = 1 })
		cfg.Train.Steps, cfg.Train.WarmupSteps, cfg.Eval.Tokens, cfg.Sample.Prompt = 2, 1, 256, ""
		return cfg
	})
	files, err := filepath.Glob("../configs/compress-*.toml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d configs (%v), want at least 4", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Compress.From, cfg.Compress.Cache, cfg.Compress.Calibration.Examples, cfg.Compress.DSFormer.Sweeps = from, t.TempDir(), 4, 1
			cfg.Compress.DSFormer.Atoms = []int{16} // for speed
			if cfg.Compress.Bytes > 0 {
				cfg.Compress.Bytes /= 4 // of four blocks
			}
			if _, err := MakePlan(context.Background(), cfg, io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
}
