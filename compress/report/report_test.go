package report

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/model/decoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train"
)

// compressed trains a small decoder, compresses it into dir by a config that edit may change, and returns its layers.
func compressed(t *testing.T, dir string, edit func(*compress.Config)) []compress.LayerResult {
	t.Helper()
	parent := t.TempDir()
	var lines strings.Builder
	for i := range 400 {
		fmt.Fprintf(&lines, "line %d of %d\n", i, i*i%17)
	}
	corpus := filepath.Join(parent, "corpus.txt")
	if err := os.WriteFile(corpus, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run := recipe.Default()
	from := text.DefaultFiles()
	from.Paths, from.SeqLen = []string{corpus}, 16
	run.Data = recipe.From(from)
	configs.Edit(&run.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
	run.Train.Steps, run.Train.BatchSize, run.Train.LearningRate = 20, 8, 1e-2
	run.Eval.Every, run.Eval.Tokens = 20, 512
	trainer, err := train.New(context.Background(), run, filepath.Join(parent, "run"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	cfg := compress.DefaultConfig()
	cfg.Compress.From, cfg.Compress.Method, cfg.Compress.Ratio, cfg.Compress.Cache = filepath.Join(parent, "run"), "auto", 0.5, filepath.Join(parent, "cache")
	cfg.Compress.Calibration.Examples = 64
	cfg.Compress.DSFormer.Block, cfg.Compress.DSFormer.Atoms = 8, []int{8, 12} // the layers are small
	if edit != nil {
		edit(&cfg)
	}
	result, err := compress.Run(context.Background(), cfg, dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return result.Layers
}

// TestReport: one file that names every layer, needs no network and whose drawings are sound.
func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out & about")
	layers := compressed(t, dir, nil)
	for _, verified := range []bool{false, true} {
		if verified {
			if _, err := compress.Verify(context.Background(), dir, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		path, err := Write(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, reference := range []string{"http:", "https:", "<script", "@import", "url(", "NaN", "Inf", "<no value>", "ZgotmplZ"} {
			if bytes.Contains(text, []byte(reference)) {
				t.Errorf("the report contains %q", reference)
			}
		}
		if !bytes.Contains(text, []byte("<h1>out &amp; about</h1>")) || bytes.Contains(text, []byte("has not been run")) == verified {
			t.Error("the report lacks its title, or what verify measured")
		}
		for what, there := range map[string]bool{"layers are gone": true, "loss from": true, "<th>fine-tuned</th>": false, "What it says": verified} {
			if bytes.Contains(text, []byte(what)) != there {
				t.Errorf("verified %v: %q is there: %v", verified, what, !there)
			}
		}
		for _, x := range layers {
			if !bytes.Contains(text, []byte("<h3>"+x.Name+"</h3>")) {
				t.Errorf("the report lacks %s", x.Name)
			}
		}
		drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAll(text, -1)
		if len(drawings) < 16 {
			t.Errorf("%d drawings, want 2 and 2 for each layer", len(drawings))
		}
		for _, svg := range drawings {
			d := xml.NewDecoder(bytes.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("a drawing is no XML: %v\n%.300s", err, svg)
				}
			}
		}
	}
	if _, err := Write(t.TempDir(), ""); !errors.Is(err, saved.ErrNotFound) {
		t.Errorf("an empty folder: got %v, want an error that matches ErrNotFound", err)
	}
}

// TestReportOfAtoms: layers whose method keeps no spectrum have that of the layer as it was, and what fine-tuning gave has a column.
func TestReportOfAtoms(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	layers := compressed(t, dir, func(c *compress.Config) {
		c.Compress.Method = "dsformer"
		c.Compress.Layer = []compress.LayerConfig{{Match: "model.layers.0.self_attn.*"}}
		c.Compress.Finetune = &compress.FinetuneConfig{}
		c.Compress.Finetune.SetDefaults()
		c.Compress.Finetune.Steps, c.Compress.Finetune.BatchSize, c.Compress.Finetune.WarmupSteps = 2, 4, 1
	})
	path, err := Write(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{"singular value over i": len(layers), "atoms have no rank": len(layers), "<th>fine-tuned</th>": 1, "after fine-tuning loss from": 1} {
		if got := bytes.Count(text, []byte(what)); got != n {
			t.Errorf("%q %d times, want %d", what, got, n)
		}
	}
	if bytes.Contains(text, []byte("; fine-tuned ")) {
		t.Error("a cell has two numbers")
	}
}
