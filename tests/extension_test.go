package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// parts is a kind of linear layer from outside: W is a sum of N matrices.
type parts struct {
	N int `toml:"n" doc:"matrices"`
}

func (parts) Validate(r *configs.Report) { r.AtLeast("n", 1) }

func (k parts) Layout(in, out int) nn.Layout {
	l := nn.Layout{Work: k.N * in * out}
	for i := range k.N {
		l.Arrays = append(l.Arrays, nn.Spec{Name: fmt.Sprintf("part%d.weight", i), Shape: []int{out, in}, Init: nn.Normal(0.02)})
	}
	return l
}

func (k parts) New(w nn.Weights, bias *nn.Weight) nn.Linear {
	l := sum{}
	for i := range k.N {
		l.parts = append(l.parts, w[fmt.Sprintf("part%d.weight", i)])
	}
	if bias != nil {
		b := bias.Use()
		l.bias = &b
	}
	return l
}

func (k parts) Matrix(w map[string]nn.Array) []float64 {
	var m []float64
	for i := range k.N {
		for j, x := range w[fmt.Sprintf("part%d.weight", i)].Float64s() {
			if i == 0 {
				m = append(m, 0)
			}
			m[j] += x
		}
	}
	return m
}

// sum is the layer of parts.
type sum struct {
	parts []nn.Weight
	bias  *op.Param
}

func (l sum) Forward(x *G.Node) *G.Node {
	y := op.Linear(x, l.parts[0].Use(), l.bias)
	for _, p := range l.parts[1:] {
		y = op.Add(p.Tape(), y, op.Linear(x, p.Use(), nil))
	}
	return y
}

// TestLinearKindFromOutside: a kind that a caller adds to the list is chosen by a config, trains, resumes, is opened and
// evaluated, stays as it is in a compression of the layers around it, and that is verified; a program that does not know it
// names it.
func TestLinearKindFromOutside(t *testing.T) {
	ctx, dir := context.Background(), workplace(t)
	known := saved.Options{Lists: configs.With(recipe.Lists(), configs.Choice[nn.Kind]{Name: "parts", New: func() nn.Kind { return parts{N: 2} }})}
	cfg, err := recipe.Load(filepath.Join(dir, "tiny.toml"), []string{
		fmt.Sprintf("data.paths=[%q]", filepath.ToSlash(filepath.Join(dir, "corpus.txt"))), "train.steps=12",
		`model.linear=[{match="*.mlp.*",kind="parts",n=3}]`,
	}, known.Lists)
	if err != nil {
		t.Fatal(err)
	}
	whole, run := filepath.Join(dir, "whole"), filepath.Join(dir, "out")
	begin := func(run string) *train.Trainer {
		trainer, err := train.New(ctx, cfg, run, false, io.Discard, known)
		if err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	result, err := begin(whole).Run(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := trainLosses(t, whole); len(got) != 12 || got[11] > got[0]-0.3 {
		t.Errorf("losses %.3f do not fall", got)
	}
	stop := 0
	if _, err := begin(run).Run(ctx, func() bool { stop++; return stop == 5 }); !errors.Is(err, shell.ErrInterrupted) {
		t.Fatalf("stopped: %v", err)
	}
	if _, _, err := train.Resume(ctx, run, "", nil, io.Discard); err == nil || !strings.Contains(err.Error(), `"parts"`) {
		t.Errorf("resumed without the kind: got %v, want an error that names it", err)
	}
	trainer, _, err := train.Resume(ctx, run, "", nil, io.Discard, known)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(ctx, nil); err != nil {
		t.Fatal(err)
	}
	stored := sameHashes(t, filepath.Join(whole, "checkpoints", "step-000012"), filepath.Join(run, "checkpoints", "step-000012"))
	var arrays []string
	for name := range stored {
		if rest, ok := strings.CutPrefix(name, "model.layers.0.mlp.up_proj."); ok {
			arrays = append(arrays, rest)
		}
	}
	slices.Sort(arrays)
	if want := []string{"part0.weight", "part1.weight", "part2.weight"}; !slices.Equal(arrays, want) {
		t.Errorf("up_proj is stored as %q, want %q", arrays, want)
	}
	if _, err := saved.Open(run, false, model.Options{}); err == nil || !strings.Contains(err.Error(), `"parts"`) || !strings.Contains(err.Error(), "sltrain") {
		t.Errorf("without the kind: got %v, want an error that names it and those there are", err)
	}
	l, err := saved.Open(run, true, model.Options{}, known)
	if err != nil {
		t.Fatal(err)
	}
	goal, err := l.Elsewhere(saved.Elsewhere{Set: []string{"train.batch_size=2"}})
	if err != nil {
		t.Fatal(err)
	}
	if score, err := goal.Evaluate(ctx, l.Session, task.Measure{}); err != nil || score.Loss() != result.Score.Loss() {
		t.Errorf("evaluated: loss %v (%v), want that of training, %v", score.Loss(), err, result.Score.Loss())
	}
	compressAround(t, dir, run, known)
}

// compressAround compresses and tunes the attention of a run, whose other layers are of a kind from outside, and verifies that.
func compressAround(t *testing.T, dir, run string, known saved.Options) {
	t.Helper()
	ctx := context.Background()
	file, out := filepath.Join(dir, "c.toml"), filepath.Join(dir, "small")
	text := fmt.Sprintf("[compress]\nfrom = %q\nmethod = \"svd\"\nratio = 0.3\ncache = %q\n[[compress.layer]]\nmatch = \"*.self_attn.*\"\n[compress.finetune]\nsteps = 2\nbatch_size = 2\nwarmup_steps = 1\n",
		filepath.ToSlash(run), filepath.ToSlash(filepath.Join(dir, "cache")))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := compress.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compress.Run(ctx, cfg, out, io.Discard); err == nil || !strings.Contains(err.Error(), `"parts"`) {
		t.Errorf("compressed without the kind: got %v, want an error that names it", err)
	}
	more := compress.Options{Options: known}
	if cfg, err = compress.Load(file, nil, more); err != nil {
		t.Fatal(err)
	}
	if _, err := compress.Run(ctx, cfg, out, io.Discard); err != nil {
		t.Fatal(err)
	}
	v, err := compress.Verify(ctx, out, io.Discard, more)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
	l, err := saved.Open(out, false, model.Options{}, known)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"model.layers.0.mlp.up_proj": "parts", "model.layers.0.self_attn.q_proj": "low_rank"} {
		if got := l.Session.Store().Layer(name).Rule.Name; got != want {
			t.Errorf("%s is of kind %q, want %q", name, got, want)
		}
	}
}

// sameHashes are those of the arrays of a checkpoint, which another one has too.
func sameHashes(t *testing.T, dir, other string) map[string]string {
	t.Helper()
	stored, err := hashes(dir)
	if err != nil {
		t.Fatal(err)
	}
	also, err := hashes(other)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(stored, also) {
		t.Errorf("%s and %s differ", dir, other)
	}
	return stored
}
