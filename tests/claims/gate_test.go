package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/compress"
	"sparrow/data/labelled"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/recipe"
)

// gated are a parent of accuracy 0.9 and two arms at two ratios, of two seeds that agree; basis has the accuracies of the gate's.
func gated(basis ...float64) []armRuns {
	point := func(arm string, ratio, accuracy float64) armRuns {
		r := Result{Accuracy: accuracy, Loss: 1 - accuracy, Bytes: int(1000 * (1 - ratio))}
		return armRuns{Arm: arm, Ratio: ratio, Runs: []Result{r, r}}
	}
	return []armRuns{point(parentName, 0, 0.9), point("random", 0.1, basis[0]), point("random", 0.5, basis[1]),
		point("svd", 0.1, 0.89), point("svd", 0.5, 0.7)}
}

func TestGate(t *testing.T) {
	bound := 0.0
	expect := func(at float64) CompressExpect {
		return CompressExpect{Measure: "difference", Of: "accuracy", Arm: "svd", Than: []string{"random"}, At: at, Bound: Bound{AtLeast: &bound}}
	}
	gate := &Gate{Arm: "random", Of: "accuracy", Loses: 0.05}
	for name, tc := range map[string]struct {
		gate  *Gate
		arms  []armRuns
		at    float64
		want  Verdict
		shuts string
	}{
		"open":             {gate, gated(0.7, 0.6), 0.1, Holds, ""},
		"shut":             {gate, gated(0.87, 0.6), 0.1, Inconclusive, "the gate is shut: random loses less than 0.05 of the accuracy"},
		"open further on":  {gate, gated(0.87, 0.6), 0.5, Holds, ""},
		"none":             {nil, gated(0.87, 0.6), 0.1, Holds, ""},
		"of a lower share": {&Gate{Arm: "random", Of: "loss", Loses: 0.02}, gated(0.87, 0.6), 0.1, Holds, ""},
	} {
		if f := tc.gate.evaluate(expect(tc.at), tc.arms); f.Verdict != tc.want || f.Reason != tc.shuts {
			t.Errorf("%s: %s, %q; want %s, %q", name, f.Verdict, f.Reason, tc.want, tc.shuts)
		}
	}
	diverged := gated(0.87, 0.6)
	diverged[1].Runs[0].Diverged = "step 1"
	if !gate.passes(diverged, 0.1) {
		t.Error("an arm that diverges loses nothing")
	}
	// The frontier without the ratio that is shut: svd needs as many bytes as itself.
	f := gate.evaluate(CompressExpect{Measure: "fewer_bytes", Arm: "svd", Than: []string{"svd", "random"}}, gated(0.87, 0.6))
	if f.Value == nil || math.Abs(*f.Value) > 1e-9 || f.Verdict != Reported {
		t.Errorf("%+v", f)
	}
}

func TestGateRefused(t *testing.T) {
	const gate = "tuned_ratios = [0.6]\n[compress.gate]\narm = \"svd\"\nof = \"loss\"\nloses = 0.1\n"
	for replaced, want := range map[string]string{
		"arm = \"svd\"\nof = \"loss\"":        "",
		"arm = \"none\"\nof = \"loss\"":       `[compress.gate] arm = "none" is none of the arms`,
		"arm = \"svd\"\nof = \"accuracy\"":    "is not measured of a language model",
		"arm = \"svd\"\nof = \"perplexity\"":  "want loss or accuracy",
		"arm = \"tuned\"\nof = \"loss\"":      "",
		"arm = \"fwsvd\"\nof = \"loss\"\nx=1": "x",
	} {
		text := strings.Replace(gate, "arm = \"svd\"\nof = \"loss\"", replaced, 1)
		_, err := Load(writeCompression(t, "tuned_ratios = [0.6]\n", text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", replaced, err, want)
		}
	}
}

// A basis that is drawn loses what it leaves out: nothing at full rank, and more than the best basis.
func TestRandomBasis(t *testing.T) {
	ctx := context.Background()
	for _, sides := range [][2]int{{12, 20}, {20, 12}, {8, 8}} {
		w := &factor.Matrix{Rows: sides[0], Cols: sides[1], Data: make([]float64, sides[0]*sides[1])}
		rng.FillNormal(rng.New(3, "w", 0), w.Data, 0, 1)
		target := compress.Target{Name: "layer", Out: sides[0], In: sides[1], Weight: w}
		options, _, err := randomBasis{}.Options(ctx, target, nil)
		if err != nil || len(options) == 0 {
			t.Fatal(err)
		}
		lost := func(rank int) float64 {
			form, err := randomBasis{}.Apply(ctx, target, nil, compress.Option{Rank: rank})
			if err != nil {
				t.Fatal(err)
			}
			down, up := form.Arrays[0], form.Arrays[1]
			var sum, all float64
			for i := range w.Rows {
				for j := range w.Cols {
					x := w.Row(i)[j]
					all += x * x
					for k := range rank {
						x -= float64(up.Data.([]float32)[i*rank+k]) * float64(down.Data.([]float32)[k*w.Cols+j])
					}
					sum += x * x
				}
			}
			return sum / all
		}
		side := min(w.Rows, w.Cols)
		if full := lost(side); full > 1e-10 {
			t.Errorf("%v: at full rank it loses %g", sides, full)
		}
		best, err := factor.ThinSVD(ctx, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		var tail, all float64
		for i, x := range best.S {
			all += x * x
			if i >= side/2 {
				tail += x * x
			}
		}
		if half := lost(side / 2); !(half > 1.2*tail/all && half < 0.8) {
			t.Errorf("%v: at half the rank it loses %g, the best basis %g", sides, half, tail/all)
		}
	}
}

// A compression can name it.
func TestRandomBasisClaim(t *testing.T) {
	if testing.Short() {
		t.Skip("its claims run whole")
	}
	claim := writeCompression(t, `set = ['compress.method="fwsvd"']`, `set = ['compress.method="random_basis"', 'compress.allocation="uniform"']`)
	dir := t.TempDir()
	d, _, _ := runWhole(t, []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", filepath.Join(dir, "docs")})
	if len(d.PerSeed) != 6 {
		t.Fatalf("%d points", len(d.PerSeed))
	}
}

// A claim on what the user has to bring says what is not there, and is skipped.
func TestBrought(t *testing.T) {
	c := &Claim{}
	c.Run.Train.InitFrom = filepath.Join(t.TempDir(), "models", "minilm")
	if why := c.missing(""); !strings.Contains(why, "there is no checkpoint "+c.Run.Train.InitFrom) {
		t.Errorf("%q", why)
	}
	c.Run.Train.InitFrom = t.TempDir()
	tsv := labelled.DefaultTable()
	tsv.Train = filepath.Join(t.TempDir(), "train.tsv")
	c.Run.Data = recipe.From(tsv)
	if why := c.missing(""); !strings.Contains(why, "there is no file "+tsv.Train) {
		t.Errorf("%q", why)
	}
	if err := os.WriteFile(tsv.Train, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if why := c.missing(""); why != "" {
		t.Errorf("%q", why)
	}
}
