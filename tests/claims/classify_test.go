package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tinyReviews is a claim of classifiers that train in a fraction of a second a run.
const tinyReviews = `
title = "t"
statement = "s"
paper = "p"
seeds = 2
learning_rates = [1e-2, 1e-12]
[run.data]
source = "tsv"
train = "DIR/train.tsv"
test = "DIR/test.tsv"
text_columns = ["text"]
label_column = "label"
tokenizer = "word"
max_len = 8
validation_share = 0.2
[run.model]
kind = "lama"
[run.model.lama]
embed_dim = 12
hidden = 8
dropout = 0.0
[run.model.lama.pooling]
heads = 3
[run.train]
steps = 80
batch_size = 8
[run.eval]
metric = "accuracy"
every = 0
[quick]
set = ["train.steps=2"]
[[arm]]
name = "lama"
[[arm]]
name = "encoder"
set = ['model={kind="encoder", d_model=16, n_layer=2, d_ff=16, init_std=0.2, dropout=0.0, attention={n_head=2, bias=true}}']
[[expect]]
measure = "ratio"
of = "attention_parameters"
arm = "lama"
than = "encoder"
at_most = 0.5
[[expect]]
measure = "difference"
of = "accuracy"
arm = "lama"
than = "encoder"
at_least = 0.0
[[expect]]
measure = "ratio"
of = "epoch_seconds"
arm = "lama"
than = "encoder"
`

// writeReviews writes the claim, after some replacements, and its files.
func writeReviews(t *testing.T, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(n int, last string) string {
		text := "label\ttext\n"
		for i := range n {
			word := []string{"awful", "lovely"}[i%2]
			text += fmt.Sprintf("%d\t%s %s film of %d in %d\n", i%2, []string{"a", "the", "this"}[i%3], word, i%7, i%11)
		}
		return text + last
	}
	write("train.tsv", lines(200, ""))
	write("test.tsv", lines(39, "0\ta lovely film\n")) // of 40 examples one is labelled wrongly
	claim := strings.NewReplacer(append(replace, "DIR", filepath.ToSlash(dir))...).Replace(tinyReviews)
	write("reviews.toml", claim)
	return filepath.Join(dir, "reviews.toml")
}

// A whole claim about classifiers: chosen by validation accuracy, measured once on
// the test split, and all from the cache the second time.
func TestWholeClassifierClaim(t *testing.T) {
	claim, dir := writeReviews(t), t.TempDir()
	docs := filepath.Join(dir, "docs")
	args := []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs}
	d, first, _ := runWhole(t, args)
	if d.Verdict != Holds || len(d.PerSeed) != 2 {
		t.Fatalf("verdict %s, %d arms; want holds, 2\n%s", d.Verdict, len(d.PerSeed), first)
	}
	// 2 D M + D² + D + D of a pooling of D = 16, M = 3; twice 4 D² + 4 D of an encoder.
	for i, want := range []int{2*16*3 + 256 + 16 + 16, 2 * (4*256 + 4*16)} {
		a := d.PerSeed[i]
		if a.LearningRate != 1e-2 || a.Tuning[1].Accuracy == nil || *a.Tuning[1].Accuracy < 0.9 {
			t.Errorf("arm %s chose %g of %+v; want 0.01, which learns to tell two words apart", a.Arm, a.LearningRate, a.Tuning)
		}
		for _, r := range a.Runs {
			if r.AttentionParameters != want || r.Accuracy != 39./40 || r.ValidationAccuracy != 1 || !(r.EpochSeconds > 0 && r.EpochSeconds < r.Seconds) {
				t.Errorf("arm %s: %+v; want %d attention parameters, accuracy 0.975 on the test split and 1 on validation, part of the time an epoch", a.Arm, r, want)
			}
		}
	}
	md, err := os.ReadFile(filepath.Join(docs, "reviews.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 97.50% | 97.50% | 97.50% | 0.00% |", "accuracy on the validation split", "80 steps of 8 examples a run, one thread a run", "| 384 |"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("reviews.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "reviews.svg")); err != nil || !bytes.Contains(svg, []byte("test accuracy")) {
		t.Errorf("reviews.svg: %v, %d bytes; want a figure of accuracies", err, len(svg))
	}
	log := runAgain(t, args, first, 8)
	if !strings.Contains(log, "seed 2: test accuracy 0.9750, validation accuracy 1.0000, loss ") || strings.Contains(log, "tuning: test") {
		t.Errorf("progress has no accuracies, or those of the test split while tuning:\n%s", log)
	}
}

func TestBadClassifierClaims(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"perplexity of a classifier", `of = "epoch_seconds"`, `of = "perplexity"`, "is not measured of a classifier"},
		{"no test split", `test = "DIR/test.tsv"`, "", "wants [run.data] test"},
		{"an arm of another task", `set = ['model={`, `set = ['data.regression=true', 'eval.metric="loss"', 'model={`, "arms want one task"},
		{"an exact accuracy", `measure = "ratio"` + "\nof = \"attention_parameters\"", `measure = "standard_errors"` + "\nof = \"attention_parameters\"", "has no standard error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(writeReviews(t, c.old, c.new))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "reviews.toml:") {
				t.Errorf("Load: %v\nwant an error with its file and %q", err, c.want)
			}
		})
	}
	if _, err := Load(writeTiny(t, `of = "loss"`, `of = "accuracy"`)); err == nil || !strings.Contains(err.Error(), "is not measured of a language model") {
		t.Errorf("accuracy of a language model: %v", err)
	}
}

// The best of several classifiers has the highest accuracy, then the lowest loss.
func TestBest(t *testing.T) {
	for _, c := range []struct {
		name string
		runs []Result
		want int
	}{
		{"language models", losses(2, 1, 1, 3), 1},
		{"classifiers", []Result{{Loss: 1, ValidationAccuracy: 0.8}, {Loss: 2, ValidationAccuracy: 0.9}}, 1},
		{"equal accuracies", []Result{{Loss: 2, ValidationAccuracy: 0.9}, {Loss: 1, ValidationAccuracy: 0.9}}, 1},
		{"the first diverged", []Result{{Diverged: "x"}, {Loss: 9}}, 1},
		{"all diverged", []Result{{Diverged: "x"}}, -1},
	} {
		if got := best(c.runs); got != c.want {
			t.Errorf("%s: best is %d, want %d", c.name, got, c.want)
		}
	}
}

// The arms of lama-imdb have the parameters that its comments say, and its steps
// are whole epochs of the training split.
func TestLAMAIMDBArms(t *testing.T) {
	c, err := Load("lama-imdb.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"lama": 12_200, "lama-ctx": 12_100, "lama-sharp": 12_200, "structured": 38_500, "structured-matched": 12_210, "single": 10_200, "encoder": 40_400}
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		s := virtual(t, cfg, vocabOf(cfg))
		if n := attentionParameters(s); n != want[a.Name] {
			t.Errorf("arm %s has %d attention parameters, want %d", a.Name, n, want[a.Name])
		}
		const examples = 25_000 * 9 / 10
		perEpoch := (examples + cfg.Train.BatchSize - 1) / cfg.Train.BatchSize // the loader's Batches
		if cfg.Train.Steps%perEpoch != 0 {
			t.Errorf("arm %s makes %d steps, which are no whole epochs of %d", a.Name, cfg.Train.Steps, perEpoch)
		}
	}
}

// The shipped claim about reviews trains for real in its --quick form, where the
// reviews are in the module cache: tests use no network.
func TestQuickIMDB(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out 50,000 files")
	}
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatalf("go env GOMODCACHE: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "github.com/cdipaolo/sentiment@*", "datasets", "test", "pos")); len(found) == 0 {
		t.Skip("the module cache has no reviews")
	}
	t.Setenv("GOPROXY", "off")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"lama-imdb", "--quick", "--seeds", "1"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	for _, want := range []string{"the numbers and the verdict mean nothing", "| Transformer, 1 layer |", "| 40400 |", "| 12200 |"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("printed no %q:\n%s", want, &stdout)
		}
	}
}
