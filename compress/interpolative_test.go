package compress

import (
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/saved"
	"sparrow/task"
)

// narrowed is a config that keeps a share of the neurons.
func narrowed(t *testing.T, from string, ratio float64, choose string, fold bool) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Compress.From, cfg.Compress.Method, cfg.Compress.Ratio = from, "interpolative", ratio
	cfg.Compress.Calibration.Examples, cfg.Compress.Cache = 32, t.TempDir()
	c := InterpolativeConfig{}
	c.SetDefaults()
	c.Choose, c.Fold = choose, fold
	cfg.Compress.Interpolative = &c
	return cfg
}

// TestInterpolativeExact: neurons that are combinations of others go without a loss.
func TestInterpolativeExact(t *testing.T) {
	r := rng.New(1, "compress/interpolative/test", 0)
	few, mix, out := factor.NewMatrix(60, 5), factor.NewMatrix(5, 12), factor.NewMatrix(7, 12)
	for _, m := range []*factor.Matrix{few, mix, out} {
		rng.FillNormal(r, m.Data, 0, 1)
	}
	held := few.Mul(mix)
	m := Interpolative{Choose: "rrqr", Fold: true}
	kept, next, err := m.narrow(context.Background(), nil, 0, held, out, nil, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := held.Mul(out.Transpose())
	less := factor.NewMatrix(held.Rows, 5)
	for i := range held.Rows {
		for c, j := range kept {
			less.Row(i)[c] = held.Row(i)[j]
		}
	}
	got := less.Mul(next.Transpose())
	for i, x := range want.Data {
		if math.Abs(x-got.Data[i]) > 1e-9 {
			t.Fatalf("output %d is %g, want %g", i, got.Data[i], x)
		}
	}
}

// TestInterpolative: a narrower checkpoint is an ordinary one; the fold helps, whoever chooses; the same config gives the same bytes.
func TestInterpolative(t *testing.T) {
	from := trainedRun(t)
	loss := map[string]float64{}
	before := 0.0
	var hashes []string
	for _, c := range []struct {
		name, choose string
		fold         bool
	}{{"rrqr", "rrqr", true}, {"again", "rrqr", true}, {"weights", "weights", false}, {"weights folded", "weights", true}, {"chance folded", "chance", true}} {
		dir := filepath.Join(t.TempDir(), "small")
		cfg := narrowed(t, from, 0.5, c.choose, c.fold)
		r, err := Run(context.Background(), cfg, dir, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		loss[c.name], before = r.Compressed.Loss(), r.Before.Loss()
		l, err := saved.Open(dir, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := l.Config.Model.Body().(decoder.Config); d.DFF != 12 || d.Narrower != nil {
			t.Errorf("%s: d_ff %d, widths %v; want 12 and none", c.name, d.DFF, d.Narrower)
		}
		if w := l.Session.Store().Shape("model.layers.0.mlp.down_proj.weight"); !slices.Equal([]int(w), []int{16, 12}) {
			t.Errorf("%s: down_proj is %v", c.name, w)
		}
		hashes = append(hashes, l.Files.Manifest().SHA256)
		if again, err := Run(context.Background(), cfg, dir, io.Discard); err != nil || again.Compressed.Loss() != r.Compressed.Loss() {
			t.Errorf("%s: a second run: %v, %v", c.name, again, err)
		}
	}
	t.Logf("loss %.4f before; %v", before, loss)
	if hashes[0] != hashes[1] {
		t.Error("equal configs give other checkpoints")
	}
	if !(loss["rrqr"] < loss["weights"]) || !(loss["weights folded"] < loss["weights"]) {
		t.Errorf("the fold does not help: %v", loss)
	}
}

// TestInterpolativeWidths: layers of widths of their own are in the config, train and are read back.
func TestInterpolativeWidths(t *testing.T) {
	c := decoder.Default()
	c.NLayer, c.DFF = 3, 40
	w := c.Narrow([]int{40, 20, 30}).(decoder.Config)
	if got := w.Widths(); !slices.Equal(got, []int{40, 20, 30}) {
		t.Errorf("widths %v", got)
	}
	if even := w.Narrow([]int{8, 8, 8}).(decoder.Config); even.DFF != 8 || even.Narrower != nil {
		t.Errorf("%+v", even)
	}
	cfg := narrowed(t, trainedRun(t), 0.5, "rrqr", true)
	cfg.Compress.Interpolative.Keep = []float64{0.25, 1}
	if _, err := Run(context.Background(), cfg, filepath.Join(t.TempDir(), "x"), io.Discard); !errors.Is(err, task.ErrUsage) {
		t.Errorf("shares of two layers of one: %v", err)
	}
	for name, change := range map[string]func(*Settings){
		"compress.layer": func(c *Settings) { c.Layer = []LayerConfig{{Match: "*"}} },
		"counts neurons": func(c *Settings) { c.Ratio, c.Params, c.Interpolative = 0, 100, nil },
	} {
		bad := cfg
		change(&bad.Compress)
		if _, err := Run(context.Background(), bad, filepath.Join(t.TempDir(), "z"), io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg.Compress.Interpolative.Keep = []float64{0.25}
	dir := filepath.Join(t.TempDir(), "y")
	if _, err := Run(context.Background(), cfg, dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	if l, err := saved.Open(dir, false, model.Options{}); err != nil || l.Config.Model.Body().(decoder.Config).DFF != 6 {
		t.Errorf("%v", err)
	}
	if _, err := Verify(context.Background(), dir, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "of other widths") {
		t.Errorf("a verification: %v", err)
	}
	if _, err := MakePlan(context.Background(), cfg, io.Discard); !errors.Is(err, task.ErrUsage) {
		t.Errorf("a plan: %v", err)
	}
}
