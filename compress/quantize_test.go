package compress

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/saved"
)

// TestQuantizeConfigErrors: bits and blocks that there are not are one line each.
func TestQuantizeConfigErrors(t *testing.T) {
	for set, want := range map[string]string{
		"bits=3":  "bits = 3 is out of range; want 8 or 4",
		"block=4": "block = 4 is out of range; want 8 to 65536 values",
		"bit=4":   `unknown key "bit"`,

		`rounding="up"`: `rounding = "up" is unknown; want one of plain, gptq`,
	} {
		cfg := DefaultConfig()
		err := configs.Decode("a.toml", []byte("[compress]\nfrom = \"x\"\nratio = 0.5\n[compress.quantize]\n"+set+"\n"), &cfg, configs.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", set, err, want)
		}
	}
}

// TestDecided: layers whose bits are told leave nothing to choose, so that an allocation by loss reads no calibration data, not
// even such as is gone; and a result is not measured where that is not asked for.
func TestDecided(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "quantize", 0.7)
	if !mustOpen(t, cfg).needs().Fisher {
		t.Error("layers of 4, 8 or 32 bits: an allocation by loss needs no Fisher information, want that it does")
	}
	cfg.Compress.Quantize = &QuantizeConfig{Bits: 8, Block: 32}
	cfg.Compress.Data = &DataConfig{filesOf(filepath.Join(t.TempDir(), "missing.txt"))}
	if n := mustOpen(t, cfg).needs(); n != (Needs{}) {
		t.Errorf("layers of 8 bits need %+v, want nothing", n)
	}
	cfg.Unmeasured = true
	if r := mustRun(t, cfg, filepath.Join(t.TempDir(), "out")); r.Before != nil || r.Compressed != nil || r.Measure != "frobenius" {
		t.Errorf("the result is measured: %+v", r)
	}
	mixed := cfg
	mixed.Compress.Layer = []LayerConfig{{Match: "model.layers.*"}, {Match: "*.v_proj", Method: "svd"}}
	if !mustOpen(t, mixed).needs().Fisher {
		t.Error("layers that have ranks to choose from: want Fisher information")
	}
}

// TestQuantizedRun: every kind of form is stored in the bits asked for, within a budget that float32 could not meet so
// well; verify counts the same bytes; and opened again each layer has the values of the form.
func TestQuantizedRun(t *testing.T) {
	for _, method := range []string{"svd", "magnitude", "dsformer", "quantize", "auto"} {
		for _, bits := range []int{8, 4} {
			t.Run(fmt.Sprintf("%s in %d bits", method, bits), func(t *testing.T) {
				cfg := configOf(t, trainedRun(t), method, 0.8)
				cfg.Compress.Quantize = &QuantizeConfig{Bits: bits, Block: 32}
				if method == "quantize" && bits == 8 {
					cfg.Compress.Ratio = 0.7
				}
				dir := filepath.Join(t.TempDir(), "out")
				r := mustRun(t, cfg, dir)
				v := mustVerify(t, dir)
				l, err := saved.Open(dir, false, model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				s, planned, stored := l.Session.Store(), 0, 0
				for _, x := range r.Layers {
					layer := s.Layer(x.Name)
					if q := layer.Rule.Quantization(); q.Bits != bits || q.Block != 32 || x.Option.Quantize != q.Name() {
						t.Errorf("%s is stored as %s, its option is %+v", x.Name, q.Name(), x.Option)
					}
					planned += x.Option.Bytes
				}
				for _, f := range l.Files.Manifest().Files {
					for _, e := range f.Entries {
						layer := strings.HasPrefix(e.Name, "model.layers.") && !strings.Contains(e.Name, "norm")
						if f.Name == "model.npz" && layer {
							n := map[string]int{"uint8": 1, "float32": 4}[e.DType]
							for _, d := range e.Shape {
								n *= d
							}
							stored += n
						}
					}
				}
				// Only what reads its values one by one is in float32 when it is used.
				if v.After != nil && (method == "svd" || method == "quantize") && v.After.Weights != s.StoredBytes() {
					t.Errorf("used, the weights take %d bytes, want %d as stored", v.After.Weights, s.StoredBytes())
				}
				if planned != stored {
					t.Errorf("%d bytes are planned, the arrays have %d", planned, stored)
				}
			})
		}
	}
}

// TestMixedBits: without [compress.quantize] the method chooses each layer's bits, and every larger budget predicts less.
func TestMixedBits(t *testing.T) {
	last := math.Inf(1)
	for _, ratio := range []float64{0.85, 0.8, 0.7, 0.3} {
		p, err := MakePlan(context.Background(), configOf(t, trainedRun(t), "quantize", ratio), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, l := range p.Layers {
			kinds[l.Option.Quantize]++
		}
		if p.Loss >= last || ratio == 0.8 && (kinds["int4"] == 0 || kinds["int8"] == 0) {
			t.Errorf("ratio %g: a predicted loss of %g after %g, layers by bits %v", ratio, p.Loss, last, kinds)
		}
		last = p.Loss
	}
}

// TestCompensatedRun: a compression that rounds by GPTQ keeps its promises, is the same when it goes on, and is another than that by
// plain rounding.
func TestCompensatedRun(t *testing.T) {
	from, losses := trainedRun(t), map[float64]bool{}
	for method, ratio := range map[string]float64{"quantize": 0.7, "svd": 0.9} {
		for _, rounding := range []string{"plain", "gptq"} {
			cfg := configOf(t, from, method, ratio)
			cfg.Compress.Quantize = &QuantizeConfig{Bits: 4, Block: 8, Rounding: rounding}
			dir := filepath.Join(t.TempDir(), "out")
			first := mustRun(t, cfg, dir)
			if again := mustRun(t, cfg, dir); again.Compressed.Loss() != first.Compressed.Loss() {
				t.Errorf("%s, %s: loss %g, then %g", method, rounding, first.Compressed.Loss(), again.Compressed.Loss())
			}
			mustVerify(t, dir)
			losses[first.Compressed.Loss()] = true
		}
	}
	if len(losses) != 4 {
		t.Errorf("losses %v, want 4 of them", losses)
	}
}

// TestQuantizedFinetune: what was quantized trains in float32 from its values, and the result is in the same bits again.
func TestQuantizedFinetune(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "svd", 0.9)
	cfg.Compress.Quantize = &QuantizeConfig{Bits: 4, Block: 32}
	cfg.Compress.Finetune = &FinetuneConfig{}
	cfg.Compress.Finetune.SetDefaults()
	cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.LearningRate = 30, 3e-3
	dir := filepath.Join(t.TempDir(), "out")
	r := mustRun(t, cfg, dir)
	if r.Tuned.Loss() >= r.Compressed.Loss() {
		t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
	}
	mustVerify(t, dir)
	var size [2]int
	for i, path := range []string{checkpoints.StepDir(dir, 0), dir} {
		l, err := saved.Open(path, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		size[i] = l.Session.Store().StoredBytes()
		if _, few := l.Session.Store().Quantized(); !few {
			t.Errorf("%s is in float32", l.Dir)
		}
	}
	if size[0] != size[1] {
		t.Errorf("%d bytes after fine-tuning, %d before", size[1], size[0])
	}
	cfg.Compress.From, cfg.Compress.Finetune = dir, nil
	if _, err := MakePlan(context.Background(), cfg, io.Discard); err == nil || !strings.Contains(err.Error(), "model merge") {
		t.Errorf("compressed again: %v, want the advice to merge", err)
	}
}

// momentOf is the mean of x xᵀ of drawn inputs that depend on each other.
func momentOf(n, inputs int) *factor.Matrix {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	m := factor.NewMatrix(n, n)
	for range inputs {
		x, common := make([]float64, n), r.NormFloat64()
		for i := range x {
			x[i] = (r.NormFloat64() + common) * math.Exp(r.NormFloat64()/4)
		}
		for i := range n {
			for j := range n {
				m.Data[i*n+j] += x[i] * x[j] / float64(inputs)
			}
		}
	}
	return m
}

// lossOf is the sum over rows of (w - v)ᵀ H (w - v).
func lossOf(w *factor.Matrix, v []float32, h *factor.Matrix) (sum float64) {
	for i := range w.Rows {
		for j := range w.Cols {
			for k := range w.Cols {
				sum += (w.Data[i*w.Cols+j] - float64(v[i*w.Cols+j])) * h.Data[j*w.Cols+k] * (w.Data[i*w.Cols+k] - float64(v[i*w.Cols+k]))
			}
		}
	}
	return sum
}

// TestCompensatedEquation: of a row in one block, each column is rounded in turn and those that are left move to the least squares of
// what the rounded ones lose, computed anew by elimination each time.
func TestCompensatedEquation(t *testing.T) {
	const n = 12
	h := momentOf(n, 30)
	r := rand.New(rand.NewPCG(1, 1))
	w := factor.NewMatrix(5, n)
	for i := range w.Data {
		w.Data[i] = r.NormFloat64()
	}
	q := nn.Quantization{Bits: 4, Block: n}
	got := compensated(w, h, q)
	damped, mean := h.Clone(), 0.0
	for i := range n {
		mean += h.Data[i*n+i] / n
	}
	for i := range n {
		damped.Data[i*n+i] += damping * mean
	}
	for i := range w.Rows {
		var a float64 // as it was chosen: its largest code is the largest there is
		for _, x := range got[i*n : (i+1)*n] {
			a = max(a, math.Abs(float64(x)))
		}
		left := slices.Clone(w.Row(i))
		fixed := make([]float64, n) // what rounding has changed
		for j := range n {
			code := max(-7, min(7, math.RoundToEven(7*left[j]/a)))
			if want := code * a / 7; math.Abs(want-float64(got[i*n+j])) > 1e-6 {
				t.Fatalf("row %d, column %d: got %g, want %g", i, j, got[i*n+j], want)
			}
			fixed[j] = float64(got[i*n+j]) - w.Data[i*n+j]
			// The rest d minimises (fixed, d)ᵀ H (fixed, d): H_rr d = -H_rf fixed.
			m := n - j - 1
			a, b := make([][]float64, m), make([]float64, m)
			for x := range m {
				a[x] = slices.Clone(damped.Row(j + 1 + x)[j+1:])
				for y := range j + 1 {
					b[x] -= damped.Row(j + 1 + x)[y] * fixed[y]
				}
			}
			for x, d := range eliminated(a, b) {
				left[j+1+x] = w.Data[i*n+j+1+x] + d
			}
		}
	}
}

// eliminated solves a x = b for a positive definite a.
func eliminated(a [][]float64, b []float64) []float64 {
	n := len(b)
	for i := range n {
		for j := i + 1; j < n; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k < n; k++ {
				a[j][k] -= f * a[i][k]
			}
			b[j] -= f * b[i]
		}
	}
	for i := n - 1; i >= 0; i-- {
		for j := i + 1; j < n; j++ {
			b[i] -= a[i][j] * b[j]
		}
		b[i] /= a[i][i]
	}
	return b
}

// TestCompensated: at 4 and 8 bits and blocks of 32 to 128 the error of the outputs is below that of plain rounding, and values are their
// own roundings, so that a checkpoint holds them as they are.
func TestCompensated(t *testing.T) {
	const in, out = 384, 40
	h := momentOf(in, 600)
	r := rand.New(rand.NewPCG(2, 2))
	w := factor.NewMatrix(out, in)
	for i := range w.Data {
		w.Data[i] = r.NormFloat64() / 20
	}
	clear(w.Row(7))
	for _, bits := range []int{4, 8} {
		for _, block := range []int{32, 64, 96, 128} {
			q := nn.Quantization{Bits: bits, Block: block}
			plain, got := float32s(w.Data), compensated(w, h, q)
			if err := q.Round(plain); err != nil {
				t.Fatal(err)
			}
			again := slices.Clone(got)
			if err := q.Round(again); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again, got) {
				t.Errorf("%d bits in blocks of %d: values are not their own roundings", bits, block)
			}
			if a, b := lossOf(w, got, h), lossOf(w, plain, h); a > 0.7*b {
				t.Errorf("%d bits in blocks of %d: a loss of %g, by plain rounding %g", bits, block, a, b)
			}
		}
	}
}

// TestCompensateForms: dense forms and factors are rounded so, others and rows that are no whole number of blocks stay as they are.
func TestCompensateForms(t *testing.T) {
	h := momentOf(64, 100)
	r := rand.New(rand.NewPCG(4, 4))
	draw := func(rows, cols int) *factor.Matrix {
		m := factor.NewMatrix(rows, cols)
		for i := range m.Data {
			m.Data[i] = r.NormFloat64()
		}
		return m
	}
	o := Option{Storage: Storage{"int4", 32}}
	for name, c := range map[string]struct {
		form    *Form
		changes []bool
	}{
		"dense":           {DenseForm(Target{Out: 8, In: 64, Weight: draw(8, 64)}), []bool{true}},
		"factors":         {LowRankForm(draw(8, 32), draw(32, 64)), []bool{true, true}},
		"thin factors":    {LowRankForm(draw(8, 12), draw(12, 64)), []bool{true, false}},
		"sparse, no form": {&Form{Linear: nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 3})}, Arrays: DenseForm(Target{Out: 8, In: 64, Weight: draw(8, 64)}).Arrays}, []bool{false}},
	} {
		var before [][]float32
		for i := range c.form.Arrays {
			before = append(before, slices.Clone(c.form.Arrays[i].Data.([]float32)))
		}
		c.form.compensate(h, o)
		for i, changes := range c.changes {
			if got := !slices.Equal(before[i], c.form.Arrays[i].Data.([]float32)); got != changes {
				t.Errorf("%s, array %d: changed %t, want %t", name, i, got, changes)
			}
		}
	}
}
