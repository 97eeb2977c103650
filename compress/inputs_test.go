package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/recipe"
	"sparrow/task"
)

// TestChangedInputs: a folder whose config still holds, and whose source or calibration data is another one by now, is
// refused and left as it was.
func TestChangedInputs(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, source, text string)
	}{
		{"source", func(t *testing.T, source, _ string) {
			rewrite(t, source, func(c *checkpoints.Contents) {
				i := slices.IndexFunc(c.Arrays["model.npz"], func(a checkpoints.Array) bool { return strings.HasSuffix(a.Name, "up_proj.weight") })
				c.Arrays["model.npz"][i].Data.([]float32)[17] += 0.25
			})
		}},
		{"calibration data", func(t *testing.T, _, text string) {
			if err := os.WriteFile(text, []byte(strings.Repeat("another text ", 400)), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := filepath.Join(t.TempDir(), "source")
			if err := os.CopyFS(source, os.DirFS(checkpoints.StepDir(trainedRun(t), 80))); err != nil {
				t.Fatal(err)
			}
			text := textFile(t, t.TempDir())
			cfg := configOf(t, source, "fwsvd", 0.5)
			cfg.Compress.Data = &DataConfig{filesOf(text)}
			dir := filepath.Join(t.TempDir(), "out")
			mustRun(t, cfg, dir)
			mustRun(t, cfg, dir)
			before := tree(t, dir)
			c.change(t, source, text)
			_, err := Run(context.Background(), cfg, dir, io.Discard)
			if !errors.Is(err, task.ErrUsage) || !strings.Contains(fmt.Sprint(err), "has changed since; choose another folder with -o") {
				t.Errorf("got %v, want a refusal that says what may have changed", err)
			}
			for name, text := range tree(t, dir) {
				if !strings.HasPrefix(name, "journal") && before[name] != text {
					t.Errorf("%s has changed", name)
				}
			}
		})
	}
}

// mover renames a file at the first message that has a word in it.
type mover struct {
	word, from, to string
	err            error
}

func (m *mover) Write(p []byte) (int, error) {
	if m.word != "" && strings.Contains(string(p), m.word) {
		m.word, m.err = "", os.Rename(m.from, m.to)
	}
	return len(p), nil
}

// filesOf is the source of one file of text.
func filesOf(path string) recipe.Data {
	from := text.DefaultFiles()
	from.Paths, from.SeqLen = []string{path}, 16
	return recipe.From(from)
}

// TestDataIsReadOnce: statistics of two kinds, both measurements, fine-tuning and its own measurements all use what was read
// for the first of them, of texts, labelled texts and images; and so do the rounds of verify.
func TestDataIsReadOnce(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(*testing.T) string
		file func(recipe.Data) string
	}{
		"decoder": {trainedRun, func(c recipe.Data) string { return c.Of.(text.Files).Paths[0] }},
		"encoder": {trainedEncoder, func(c recipe.Data) string { return c.Of.(labelled.Table).Train }},
		"favit":   {trainedFaViT, func(c recipe.Data) string { return c.Of.(images.Folder).Root }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(t, c.run(t), "svd_llm", 0.5) // needs moments and, to allocate, Fisher information
			cfg.Compress.Finetune = &FinetuneConfig{}
			cfg.Compress.Finetune.SetDefaults()
			cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.WarmupSteps = 2, 0
			file := c.file(mustOpen(t, cfg).table)
			away := file + ".away"
			back := func() {
				if err := os.Rename(away, file); err != nil {
					t.Fatal(err)
				}
			}
			moved := func(word string) *mover { return &mover{word: word, from: file, to: away} }
			dir := filepath.Join(t.TempDir(), "out")
			out := moved("fisher: ")
			_, err := Run(context.Background(), cfg, dir, out)
			if out.word != "" || out.err != nil {
				t.Fatalf("the data was not moved: %v", out.err)
			}
			back()
			if err != nil {
				t.Fatal(err)
			}
			out = moved(": ")
			v, err := Verify(context.Background(), dir, out)
			if out.word != "" || out.err != nil {
				t.Fatalf("the data was not moved: %v", out.err)
			}
			back()
			if err != nil || v.Err() != nil || v.After == nil {
				t.Fatal(err, v.Err())
			}
		})
	}
}
