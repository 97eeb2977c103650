package tests

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/saved"
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

// TestLinearKindFromOutside: a kind that a caller adds to the list is chosen by a config, trains and is stored; a program
// that does not know it says so.
func TestLinearKindFromOutside(t *testing.T) {
	dir := workplace(t)
	cfg := recipe.Default()
	lists := configs.With(recipe.Lists(), configs.Choice[nn.Kind]{Name: "parts", New: func() nn.Kind { return parts{N: 2} }})
	err := configs.Load(filepath.Join(dir, "tiny.toml"), &cfg, configs.Options{Lists: lists, Set: []string{
		fmt.Sprintf("data.paths=[%q]", filepath.ToSlash(filepath.Join(dir, "corpus.txt"))), "train.steps=12",
		`model.linear=[{match="*.mlp.*",kind="parts",n=3}]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "out")
	trainer, err := train.New(context.Background(), cfg, run, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if got := trainLosses(t, run); len(got) != 12 || got[11] > got[0]-0.3 {
		t.Errorf("losses %.3f do not fall", got)
	}
	stored, err := hashes(filepath.Join(run, "checkpoints", "step-000012"))
	if err != nil {
		t.Fatal(err)
	}
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
}
