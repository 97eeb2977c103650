package card

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train"
)

// TestText: the card of a trained checkpoint has its score, data, steps, lineage and config, is the same twice, and says nothing of
// what is not known.
func TestText(t *testing.T) {
	dir := t.TempDir()
	corpus := filepath.Join(dir, "corpus.txt")
	var lines strings.Builder
	for i := range 400 {
		fmt.Fprintf(&lines, "line %d of %d\n", i, i*i%17)
	}
	if err := os.WriteFile(corpus, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	trained := func(name, from string) *saved.Model {
		cfg := recipe.Default()
		files := text.DefaultFiles()
		files.Paths, files.SeqLen = []string{corpus}, 16
		cfg.Name, cfg.Data = name, recipe.From(files)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.WarmupSteps, cfg.Train.InitFrom = 4, 4, 1, from
		cfg.Eval.Every, cfg.Eval.Tokens = 4, 256
		run := filepath.Join(dir, name)
		trainer, err := train.New(context.Background(), cfg, run, false, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trainer.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		l, err := saved.Open(run, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := trained("first", "")
	state, err := saved.ReadState(first.Files)
	if err != nil {
		t.Fatal(err)
	}
	second := trained("second", first.Dir)
	for _, c := range []struct {
		l    *saved.Model
		made Made
		want []string
		not  []string
	}{
		{first, Made{}, []string{"# first\n", "kind `decoder`", "| loss | " + Number(state.BestLoss) + " | - |", "Source `text`", state.Corpus, "Trained for 4 steps of 4 by adamw", "made from no other checkpoint", `name = "first"`}, []string{"calibration samples", "Not measured"}},
		{second, Made{}, []string{"- made from " + filepath.ToSlash(first.Dir) + ", SHA-256 " + first.Files.Manifest().SHA256}, []string{"no other checkpoint"}},
		{first, Made{Scores: []Score{Change("top_5", 0.5, 0.75)}, Method: []string{"a way", "another"}}, []string{"| top 5 | 0.5000 | 0.7500 |", "- a way.\n- another.\n"}, []string{"| loss |", "Trained for"}},
	} {
		text, err := Text(c.l, c.made)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Text(c.l, c.made); string(again) != string(text) {
			t.Error("the second card differs")
		}
		for _, w := range c.want {
			if !strings.Contains(string(text), w) {
				t.Errorf("the card lacks %q:\n%s", w, text)
			}
		}
		for _, w := range c.not {
			if strings.Contains(string(text), w) {
				t.Errorf("the card has %q:\n%s", w, text)
			}
		}
	}
}
