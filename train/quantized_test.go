package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// storedAs writes the model of a run at out with its blocks' layers stored as quantize says, in blocks of block.
func storedAs(t *testing.T, run, out, quantize string, block int) *saved.Model {
	t.Helper()
	l, err := saved.Open(run, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := l.Config.Model
	cfg.Linear = slices.Clone(cfg.Linear)
	if len(cfg.Linear) == 0 {
		cfg.Linear = []nn.Rule{{Match: "*.layers.*", OneOf: nn.As(nn.Dense{})}}
	}
	for i := range cfg.Linear {
		cfg.Linear[i].Quantize, cfg.Linear[i].QuantBlock = quantize, block
	}
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.NewSession(l.Dims, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	old := l.Session.Store()
	for _, name := range store.Names() {
		copy(store.Get(name).Float32s(), old.Get(name).Float32s())
	}
	for _, name := range store.IndexNames() {
		copy(store.Index(name), old.Index(name))
	}
	for _, name := range store.AtomNames() {
		copy(store.Atoms(name).Index, old.Atoms(name).Index)
	}
	if err := l.DeriveFresh(out, cfg, store, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// arraysOf are those of a checkpoint's model, by name.
func arraysOf(t *testing.T, dir string) map[string]checkpoints.Array {
	t.Helper()
	c, err := checkpoints.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Arrays("model.npz")
	if err != nil {
		t.Fatal(err)
	}
	return saved.ByName(all)
}

// trainedOf is a run of a network whose blocks have layers of one kind.
func trainedOf(t *testing.T, kind nn.Rule) string {
	t.Helper()
	cfg, dir := smallConfig(t), filepath.Join(t.TempDir(), "run")
	kind.Match = "*.layers.*"
	cfg.Model.Linear = []nn.Rule{kind}
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestQuantizedCheckpoint: of every kind of layer a checkpoint in few bits is as large as counted, opens with the values that
// its codes stand for, and written again has the same arrays.
func TestQuantizedCheckpoint(t *testing.T) {
	for _, kind := range []nn.Rule{
		{OneOf: nn.As(nn.Dense{})},
		{OneOf: nn.As(nn.LowRank{Rank: 3})},
		{OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.1, TrainScale: true})},
		{OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 5, Nonzeros: []int{2}})},
	} {
		run := trainedOf(t, kind)
		for _, form := range []string{"int8", "int4"} {
			t.Run(kind.Name+" "+form, func(t *testing.T) {
				first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
				source := storedAs(t, run, first, form, 32)
				l, err := saved.Open(first, false, model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				s, held, bytes, few := l.Session.Store(), arraysOf(t, first), 0, 0
				for _, a := range held {
					switch x := a.Data.(type) {
					case []uint8:
						bytes += len(x)
					case []int32:
						bytes += 4 * len(x)
					case []float32:
						bytes += 4 * len(x)
					}
				}
				if bytes != s.StoredBytes() || bytes >= source.Session.Store().StoredBytes() {
					t.Errorf("%d bytes of arrays, want %d as counted and fewer than %d", bytes, s.StoredBytes(), source.Session.Store().StoredBytes())
				}
				for _, name := range s.Names() {
					got, was := s.Get(name).Float32s(), source.Session.Store().Get(name).Float32s()
					if s.Quantization(name).Bits == 0 {
						if !slices.Equal(got, was) {
							t.Errorf("%s has changed", name)
						}
						continue
					}
					few++
					codes, scales := held[name+".codes"].Data.([]uint8), held[name+".absmax"].Data.([]float32)
					for i := range got {
						want := naiveValue(codes, scales, form, 32, i)
						if float64(got[i]) != float64(float32(want)) || math.Abs(want-float64(was[i])) > float64(scales[i/32])/13.99 {
							t.Fatalf("%s[%d] = %g, want %g by its code, and near %g", name, i, got[i], want, was[i])
						}
					}
				}
				if few < 7 {
					t.Errorf("%d arrays in few bits", few)
				}
				if err := l.Derive(second, l.Config.Model, s, nil); err != nil {
					t.Fatal(err)
				}
				again := arraysOf(t, second)
				for name, a := range held {
					if fmt.Sprint(a) != fmt.Sprint(again[name]) {
						t.Errorf("%s differs when it is written again", name)
					}
				}
			})
		}
	}
}

// TestPackedUse: opened to be used, a checkpoint in few bits has the losses and the tokens that it has in float32, in the
// memory that its layers take in the file, and written again the same arrays.
func TestPackedUse(t *testing.T) {
	for _, kind := range []nn.Rule{{OneOf: nn.As(nn.Dense{})}, {OneOf: nn.As(nn.LowRank{Rank: 3})}, {OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.1})}} {
		run := trainedOf(t, kind)
		for _, form := range []string{"int8", "int4"} {
			t.Run(kind.Name+" "+form, func(t *testing.T) {
				dir, again := filepath.Join(t.TempDir(), "few"), filepath.Join(t.TempDir(), "again")
				storedAs(t, run, dir, form, 32)
				var scores [2]task.Score
				var texts [2][]int
				var loaded [2]*saved.Model
				for i := range 2 {
					l, err := saved.Open(dir, false, model.Options{Packed: i == 1})
					if err != nil {
						t.Fatal(err)
					}
					loaded[i] = l
					if scores[i], err = l.Task.Evaluate(context.Background(), l.Session, task.Measure{}); err != nil {
						t.Fatal(err)
					}
					if err := decode.Generate(context.Background(), l.Session, [][]int{{1, 2, 3}}, decode.Request{Tokens: 9}, func(_, token int) error {
						texts[i] = append(texts[i], token)
						return nil
					}); err != nil {
						t.Fatal(err)
					}
					if _, err := l.Elsewhere(saved.Elsewhere{Set: []string{"train.batch_size=2", "data.seq_len=4"}}); err != nil {
						t.Error(err)
					}
				}
				if !reflect.DeepEqual(scores[1], scores[0]) || !slices.Equal(texts[1], texts[0]) {
					t.Errorf("%+v and %v, want %+v and %v", scores[1], texts[1], scores[0], texts[0])
				}
				plain, packed := loaded[0].Session.Store(), loaded[1].Session.Store()
				if whole := kind.Name != "sltrain"; whole && packed.Bytes() != packed.StoredBytes() || whole == (packed.Bytes() == plain.Bytes()) {
					t.Errorf("%d bytes of parameters, want %d; in float32 %d", packed.Bytes(), packed.StoredBytes(), plain.Bytes())
				}
				if err := loaded[1].Derive(again, loaded[1].Config.Model, packed, nil); err != nil {
					t.Fatal(err)
				}
				if got, want := fmt.Sprint(arraysOf(t, again)), fmt.Sprint(arraysOf(t, dir)); got != want {
					t.Error("written again, the arrays differ")
				}
			})
		}
	}
}

// naiveValue is what code i stands for, from the documentation.
func naiveValue(codes []uint8, scales []float32, form string, block, i int) float64 {
	a := float64(scales[i/block])
	if form == "int8" {
		return (float64(codes[i]) - 128) * (a / 127)
	}
	code := codes[i/2] % 16
	if i%2 == 1 {
		code = codes[i/2] / 16
	}
	return (float64(code) - 8) * (a / 7)
}

// TestQuantizedDamage: codes and scales that cannot be are an error that names the array.
func TestQuantizedDamage(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if _, err := mustTrain(t, smallConfig(t), run, nil); err != nil {
		t.Fatal(err)
	}
	const name = "model.layers.0.mlp.up_proj.weight"
	for want, damage := range map[string]func(held map[string]checkpoints.Array){
		"code 7 is 0":   func(held map[string]checkpoints.Array) { held[name+".codes"].Data.([]uint8)[7] = 0 },
		"scale 2 is -1": func(held map[string]checkpoints.Array) { held[name+".absmax"].Data.([]float32)[2] = -1 },
		"scale 0 is NaN": func(held map[string]checkpoints.Array) {
			held[name+".absmax"].Data.([]float32)[0] = float32(math.NaN())
		},
		`missing: "` + name + `.abs`: func(held map[string]checkpoints.Array) { delete(held, name+".absmax") },
	} {
		dir := filepath.Join(t.TempDir(), "small")
		storedAs(t, run, dir, "int8", 64)
		c, err := checkpoints.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		held := arraysOf(t, dir)
		damage(held)
		contents := checkpoints.Contents{Kind: c.Manifest().Kind, Arrays: map[string][]checkpoints.Array{}, Files: map[string][]byte{}}
		for _, f := range c.Manifest().Files {
			if f.Name != "model.npz" {
				if contents.Files[f.Name], err = c.File(f.Name); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for _, e := range f.Entries {
				if a, ok := held[e.Name]; ok {
					contents.Arrays[f.Name] = append(contents.Arrays[f.Name], a)
				}
			}
		}
		if err := checkpoints.Write(dir, contents); err != nil {
			t.Fatal(err)
		}
		for _, packed := range []bool{false, true} {
			if _, err := saved.Open(dir, false, model.Options{Packed: packed}); !errors.Is(err, checkpoints.ErrCheckpoint) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
				t.Errorf("packed %v: %v, want ErrCheckpoint about %s: %s", packed, err, name, want)
			}
		}
	}
}

// TestFromQuantized: a run starts from the values that codes stand for, in float32 or as the base of lora layers, which in
// the same bits and blocks has the same codes.
func TestFromQuantized(t *testing.T) {
	root := t.TempDir()
	dense, lora := adapterConfigs(t, filepath.Join(root, "few"), "int8")
	if _, err := mustTrain(t, dense, filepath.Join(root, "run"), nil); err != nil {
		t.Fatal(err)
	}
	storedAs(t, filepath.Join(root, "run"), filepath.Join(root, "few"), "int8", 64)
	few, err := saved.Open(filepath.Join(root, "few"), false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const name = "model.layers.0.mlp.up_proj.weight"

	var out strings.Builder
	tuned := dense
	tuned.Train.InitFrom = filepath.Join(root, "few")
	trainer, err := New(context.Background(), tuned, filepath.Join(root, "tuned"), false, &out)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(trainer.store.Get(name).Float32s(), few.Session.Store().Get(name).Float32s()) {
		t.Error("the run does not start from the checkpoint's values")
	}
	if text := out.String(); !strings.Contains(text, "12 weights taken") || strings.Contains(text, "new, with") || strings.Contains(text, "unused") {
		t.Errorf("messages %q", text)
	}

	held := arraysOf(t, filepath.Join(root, "few"))
	for i := range lora.Model.Linear {
		lora.Model.Linear[i].QuantBlock = 64
	}
	if trainer, err = New(context.Background(), lora, filepath.Join(root, "lora"), false, io.Discard); err != nil {
		t.Fatal(err)
	}
	base := trainer.store.Base(name)
	if !slices.Equal(base.Codes.Codes, held[name+".codes"].Data.([]uint8)) || !slices.Equal(base.Codes.AbsMax, held[name+".absmax"].Data.([]float32)) {
		t.Error("the adapter's base has other codes than the checkpoint")
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(filepath.Join(root, "lora"), false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Session.Store().Base(name); !slices.Equal(got.Codes.Codes, base.Codes.Codes) {
		t.Error("read back, the base has other codes")
	}
}

// TestQuantizedDoesNotTrain: values in few bits are refused unless they are frozen; frozen, they are the same in every
// checkpoint.
func TestQuantizedDoesNotTrain(t *testing.T) {
	root := t.TempDir()
	cfg := smallConfig(t)
	if _, err := mustTrain(t, cfg, filepath.Join(root, "run"), nil); err != nil {
		t.Fatal(err)
	}
	storedAs(t, filepath.Join(root, "run"), filepath.Join(root, "few"), "int4", 64)
	cfg.Model.Linear = []nn.Rule{{Match: "*.mlp.*", OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int4"}}}
	for _, from := range []string{"", filepath.Join(root, "few")} {
		cfg.Train.InitFrom = from
		dir := filepath.Join(root, "none")
		_, err := New(context.Background(), cfg, dir, false, io.Discard)
		if !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), `quantize = "int4": model.layers.0.mlp.gate_proj.weight does not train`) {
			t.Errorf("from %q: %v, want ErrUsage that names the weight", from, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("a folder was made")
		}
	}
	cfg.Train.Freeze = []recipe.Freeze{{Match: "*.mlp.*"}}
	frozen := filepath.Join(root, "frozen")
	if _, err := mustTrain(t, cfg, frozen, nil); err != nil {
		t.Fatal(err)
	}
	before, after := arraysOf(t, filepath.Join(root, "few")), arraysOf(t, checkpoints.StepDir(frozen, 6))
	same := 0
	for name, a := range after {
		if strings.Contains(name, ".mlp.") {
			same++
			if fmt.Sprint(a) != fmt.Sprint(before[name]) {
				t.Errorf("%s has changed", name)
			}
		}
	}
	if same != 6 {
		t.Errorf("%d arrays of frozen codes and scales, want 6", same)
	}
	if trainer, _, err := Resume(context.Background(), frozen, "", []string{"train.steps=8"}, io.Discard); err != nil {
		t.Error(err)
	} else if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Error(err)
	}
}
