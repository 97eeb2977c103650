package compress

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/saved"
)

// TestQuantizeConfigErrors: bits and blocks that there are not are one line each.
func TestQuantizeConfigErrors(t *testing.T) {
	for set, want := range map[string]string{
		"bits=3":  "bits = 3 is out of range; want 8 or 4",
		"block=4": "block = 4 is out of range; want 8 to 65536 values",
		"bit=4":   `unknown key "bit"`,
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
