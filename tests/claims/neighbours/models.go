package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sparrow/retrieval"
)

// workshop makes a subject's models in a folder, by the commands that a reader would use. What is there is not made again.
type workshop struct {
	claim   *Claim
	subject Subject
	data    *data
	bin     string // the programs
	dir     string
	base    string // checkpoint that models start from; "": none
}

// say runs a command in the folder.
func (w *workshop) say(ctx context.Context, program string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, filepath.Join(w.bin, program), args...)
	c.Dir = w.dir
	var out, shown bytes.Buffer
	c.Stdout, c.Stderr = &out, &shown
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, shown.Bytes())
	}
	return out.Bytes(), nil
}

// train trains a run, or goes on with it.
func (w *workshop) train(ctx context.Context, name, config string) error {
	if _, err := os.Stat(filepath.Join(w.dir, name, "done")); err == nil {
		return nil
	}
	args := []string{"run", "-c", name + ".toml", "-o", name}
	if _, err := os.Stat(filepath.Join(w.dir, name, "config.toml")); err == nil {
		args = []string{"resume", name}
	}
	if err := os.WriteFile(filepath.Join(w.dir, name+".toml"), []byte(config), 0o644); err != nil {
		return err
	}
	if _, err := w.say(ctx, "train", args...); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, name, "done"), nil, 0o644)
}

// config is that of a run; data and tables are what it has of its own.
func (w *workshop) config(name, data, tables, metric string, batch int) string {
	body := "kind = \"encoder\"\nd_model = 384\nn_layer = 6\nd_ff = 1536\ncontext = 512\n[model.attention]\nn_head = 12\n"
	train := fmt.Sprintf("init_from = %q\nepochs = %.1f\nlearning_rate = 3e-5\nwarmup_steps = 50\nweight_decay = 0.01\n", w.base, w.subject.Epochs)
	words, share := "", 0.05
	if w.base == "" {
		body = "kind = \"encoder\"\nd_model = 16\nn_layer = 1\n[model.attention]\nn_head = 2\n"
		share = 0.3
		train, words = "steps = 3\nlearning_rate = 1e-3\n", "tokenizer = \"word\"\nmin_count = 1\n"
	}
	return fmt.Sprintf("name = %q\nseed = 1\n[data]\n%smax_len = %d\nvalidation_share = %g\n%s[model]\n%s%s[train]\n%sbatch_size = %d\nschedule = \"linear\"\n[eval]\nevery = 200\nmetric = %q\n[checkpoint]\nevery = 200\n",
		name, data, w.claim.MaxLen, share, words, body, tables, train, batch, metric)
}

const scoredTable = "source = \"tsv\"\ntrain = %q\ntext_columns = [\"first\", \"second\"]\nlabel_column = \"score\"\nregression = true\n"

// models makes all models but the distilled one.
func (w *workshop) models(ctx context.Context) error {
	if err := w.files(); err != nil {
		return err
	}
	sentence := "[model.sentence]\npooling = \"mean\"\nnormalize = true\n"
	if w.data.scored == nil {
		sentence += "temperature = 0.05\nmax_score = 1.0\n"
	}
	if err := w.train(ctx, "bi", w.config("bi", fmt.Sprintf(scoredTable, "scored.tsv"), sentence, "loss", 32)); err != nil {
		return err
	}
	for name, method := range map[string]string{"groups": "vectors", "random-groups": "random"} {
		if _, err := w.say(ctx, "model", "index", "mine", "--items", "pool.jsonl", "--queries", "train.jsonl", "--method", method, "--dense", "bi",
			"--negatives", fmt.Sprint(w.claim.Negatives), "-o", name+".jsonl"); err != nil {
			return err
		}
	}
	lists := func(name, file, head string) string {
		return w.config(name, fmt.Sprintf("source = \"groups\"\ntrain = %q\nnegatives = 7\n", file), fmt.Sprintf("[model.ranking]\nhead = %q\n", head), "mrr", 4)
	}
	if err := w.train(ctx, "emb", lists("emb", "groups.jsonl", "emb")); err != nil {
		return err
	}
	if w.data.scored != nil {
		return w.train(ctx, "cross", w.config("cross", fmt.Sprintf(scoredTable, "scored.tsv"), "", "spearman", 32))
	}
	if err := w.train(ctx, "random", lists("random", "random-groups.jsonl", "cls")); err != nil {
		return err
	}
	return w.train(ctx, "cross", lists("cross", "groups.jsonl", "cls"))
}

// distil trains a sentence encoder by the pairs that an index knows.
func (w *workshop) distil(ctx context.Context, index string) error {
	if _, err := w.say(ctx, "model", "index", "teach", index, "-o", "lessons.tsv", "--each", fmt.Sprint(min(64, w.claim.Items))); err != nil {
		return err
	}
	data := strings.Replace(fmt.Sprintf(scoredTable, "lessons.tsv"), `["first", "second"]`, `["query", "item"]`, 1)
	return w.train(ctx, "distilled", w.config("distilled", data, "[model.sentence]\npooling = \"mean\"\nnormalize = true\nmax_score = 1.0\n", "spearman", 32))
}

// spearman measures a model on STS-B's validation pairs.
func (w *workshop) spearman(ctx context.Context, model string) (float64, error) {
	out, err := w.say(ctx, "model", "eval", model, "--file", "validated.tsv", "--set", `data.text_columns=["first","second"]`, "--set", "data.label_column=score", "--json")
	if err != nil {
		return 0, err
	}
	var score struct{ Spearman float64 }
	return score.Spearman, json.Unmarshal(out, &score)
}

// files writes what commands read.
func (w *workshop) files() error {
	train := w.data.train
	scored := w.data.scored
	if scored == nil {
		for _, q := range train {
			scored = append(scored, scoredPair{q.Text, q.Gold, "1"})
		}
	}
	for name, content := range map[string]string{
		"pool.jsonl": jsonl(w.data.pool), "train.jsonl": jsonl(train), "scored.tsv": tsv(scored), "validated.tsv": tsv(w.data.validated),
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func jsonl[T retrieval.Item | retrieval.Query](all []T) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, x := range all {
		_ = e.Encode(x) // texts
	}
	return b.String()
}

func tsv(all []scoredPair) string {
	var b strings.Builder
	b.WriteString("first\tsecond\tscore\n")
	plain := strings.NewReplacer("\t", " ", "\"", "'")
	for _, p := range all {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", plain.Replace(p.first), plain.Replace(p.second), p.score)
	}
	return b.String()
}
