package labelled

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestIMDB reads the module where the cache has it: tests use no network.
func TestIMDB(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out 50,000 files")
	}
	command := exec.Command("go", "mod", "download", imdbModule.Version)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		t.Skipf("the module cache has no %s: %s", imdbModule.Version, output)
	}
	t.Setenv("GOPROXY", "off") // fetching again needs no network
	cfg := DefaultIMDB()
	cfg.Tokenizer, cfg.VocabSize = "word", 5000
	survey, err := Look(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if survey.Files != 50000 || survey.Bytes != 65483508 || !slices.Equal(survey.Labels, []string{"negative", "positive"}) {
		t.Errorf("Look finds %d files, %d bytes, labels %q", survey.Files, survey.Bytes, survey.Labels)
	}
	cfg.MaxExamples = 600
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 570 || d.Validation.Len() != 30 || d.Test.Len() != 600 {
		t.Errorf("%d, %d and %d examples, want 570, 30 and 600", d.Train.Len(), d.Validation.Len(), d.Test.Len())
	}
	for name, x := range map[string]*Examples{"train": d.Train, "test": d.Test} {
		if counts := x.LabelCounts(2); min(counts[0], counts[1]) < x.Len()*2/5 {
			t.Errorf("%s has %v of %q", name, counts, d.Labels)
		}
	}
	t.Log(d.Describe())
}

// writeReviews writes a small folder of the data set's layout.
func writeReviews(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"train/neg/0_1.txt": "Bad.<br /><br />Very bad.", "train/neg/1_2.txt": "Dull plot", "train/neg/2_2.txt": "Awful acting",
		"train/pos/0_9.txt": "Good.<br>Fine.", "train/pos/1_8.txt": "A fine film", "train/pos/2_8.txt": "Great cast",
		"test/neg/0_1.txt": "bad", "test/pos/0_9.txt": "good", "train/unsup/0_0.txt": "neither", "train/pos/notes.md": "no review",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestIMDBFolder(t *testing.T) {
	cfg := DefaultIMDB()
	cfg.Root, cfg.Tokenizer, cfg.MinCount, cfg.ValidationShare = writeReviews(t), "word", 1, 0.3
	c, err := cfg.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range c.Train.len() {
		texts = append(texts, c.Train.Content(i))
	}
	want := []string{"Bad.\n\nVery bad.", "Dull plot", "Awful acting", "Good.\nFine.", "A fine film", "Great cast"}
	if !slices.Equal(texts, want) || !slices.Equal(c.Train.Labels, []int32{0, 0, 0, 1, 1, 1}) {
		t.Errorf("texts %q with labels %v, want %q", texts, c.Train.Labels, want)
	}
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 4 || d.Validation.Len() != 2 || d.Test.Len() != 2 {
		t.Errorf("%s", d.Describe())
	}
	if _, err := OpenWith(t.Context(), cfg, d.Tokenizer, []string{"bad", "good"}); err == nil || !strings.Contains(err.Error(), "trained on") {
		t.Errorf("other labels: %v", err)
	}
}

func TestIMDBErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(root string) error
		want   string
	}{
		{"missing folder", func(root string) error { return os.RemoveAll(filepath.Join(root, "test", "pos")) }, "want train/neg/*.txt, train/pos/*.txt"},
		{"empty folder", func(root string) error { return os.Remove(filepath.Join(root, "test", "pos", "0_9.txt")) }, "no .txt file in"},
		{"empty review", func(root string) error {
			return os.WriteFile(filepath.Join(root, "test", "pos", "0_9.txt"), []byte("<br />"), 0o644)
		}, "0_9.txt is empty, want a review"},
		{"not UTF-8", func(root string) error {
			return os.WriteFile(filepath.Join(root, "test", "pos", "0_9.txt"), []byte("a\xff"), 0o644)
		}, "0_9.txt: not valid UTF-8 at byte 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := writeReviews(t)
			if err := test.change(root); err != nil {
				t.Fatal(err)
			}
			cfg := DefaultIMDB()
			cfg.Root = root
			if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	// Neither the cache nor the network has the module.
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOPROXY", "off")
	cfg := DefaultIMDB()
	_, err := Open(t.Context(), cfg)
	for _, want := range []string{`"go mod download github.com/cdipaolo/sentiment@`, "GOPROXY=off", "name it in [data] root", "train/neg/*.txt"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("without a go command: %v", err)
	}
}
