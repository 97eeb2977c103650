package interchange_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
	"sparrow/interchange"
)

// adapter copies an adapter of testdata with changes of its config.
func adapter(t *testing.T, name string, changes ...string) string {
	t.Helper()
	from, dir := filepath.Join("testdata", "adapters", name), t.TempDir()
	for _, file := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		text, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		if file == "adapter_config.json" {
			for i := 0; i < len(changes); i += 2 {
				if !bytes.Contains(text, []byte(changes[i])) {
					t.Fatalf("the config has no %s", changes[i])
				}
				text = bytes.Replace(text, []byte(changes[i]), []byte(changes[i+1]), 1)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestReadAdapter: ranks are those of the tensors, and alpha is over the root of the rank where PEFT says so.
func TestReadAdapter(t *testing.T) {
	some, err := interchange.ReadAdapter(adapter(t, "some"))
	if err != nil || len(some) != 6 || some[0].Layer != "model.layers.0.mlp.down_proj" || some[0].Rank != 4 || some[0].Alpha != 6 || some[0].In != 24 || some[0].Out != 16 {
		t.Errorf("%v, %+v", err, some)
	}
	all, err := interchange.ReadAdapter(adapter(t, "all"))
	if err != nil || len(all) != 14 {
		t.Fatalf("%v, %d layers", err, len(all))
	}
	for _, l := range all {
		want := 3
		if strings.HasSuffix(l.Layer, "o_proj") {
			want = 2
		}
		if l.Rank != want || l.Alpha*l.Alpha < 25*float64(want)-1e-9 || l.Alpha*l.Alpha > 25*float64(want)+1e-9 {
			t.Errorf("%s: rank %d, alpha %g", l.Layer, l.Rank, l.Alpha)
		}
	}
	if !interchange.IsAdapter(adapter(t, "some")) || interchange.IsAdapter(t.TempDir()) {
		t.Error("IsAdapter")
	}
}

// TestReadAdapterRefuses: what would change the model and is not supported, and what is damaged.
func TestReadAdapterRefuses(t *testing.T) {
	for _, c := range []struct {
		want    string
		changes []string
	}{
		{"use_dora = true is not supported", []string{`"use_dora": false`, `"use_dora": true`}},
		{"peft_type = IA3", []string{`"LORA"`, `"IA3"`}},
		{"init_lora_weights = pissa", []string{`"init_lora_weights": true`, `"init_lora_weights": "pissa"`}},
		{"modules_to_save", []string{`"modules_to_save": null`, `"modules_to_save": ["lm_head"]`}},
		{"alpha_pattern", []string{`"alpha_pattern": {}`, `"alpha_pattern": {"q_proj": 3}`}},
		{"bias = all", []string{`"bias": "none"`, `"bias": "all"`}},
		{"lora_alpha = 0", []string{`"lora_alpha": 6`, `"lora_alpha": 0`}},
		{"lora_alpha", []string{`"lora_alpha": 6`, `"lora_alpha": 1e999`}},
		{"r is missing", []string{`"r": 4`, `"s": null`}},
		{"strange = 7 is unknown", []string{`"r": 4`, `"strange": 7, "r": 4`}},
		{"adapter_config.json", []string{`{`, `[`}},
	} {
		if _, err := interchange.ReadAdapter(adapter(t, "some", c.changes...)); !errors.Is(err, interchange.ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
	tensor := func(name string, x float32, shape ...int) foreign.Source {
		n := 1
		for _, dim := range shape {
			n *= dim
		}
		return foreign.Source{Name: name, Type: foreign.F32, Shape: shape, Values: func() ([]float32, error) { return slices.Repeat([]float32{x}, n), nil }}
	}
	for want, tensors := range map[string][]foreign.Source{
		"one of lora_A and lora_B without the other": {tensor("base_model.model.x.lora_A.weight", 1, 2, 3)},
		"have different ranks":                       {tensor("x.lora_A.weight", 1, 2, 3), tensor("x.lora_B.weight", 1, 4, 3)},
		`tensor "x.lora_embedding_A" is not`:         {tensor("x.lora_embedding_A", 1, 2, 3)},
		"want a matrix":                              {tensor("x.lora_A.weight", 1, 2, 3, 1)},
		"no finite numbers":                          {tensor("x.lora_A.weight", float32(math.Inf(1)), 2, 3), tensor("x.lora_B.weight", 1, 4, 2)},
		"has no factors":                             {},
	} {
		dir := adapter(t, "some")
		if err := safetensors.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), tensors, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := interchange.ReadAdapter(dir); !errors.Is(err, interchange.ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	dir := adapter(t, "some")
	path := filepath.Join(dir, "adapter_model.safetensors")
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := interchange.ReadAdapter(dir); err == nil {
		t.Error("a file that is cut")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := interchange.ReadAdapter(dir); err == nil || !strings.Contains(err.Error(), "no adapter_model.safetensors") {
		t.Errorf("%v", err)
	}
}
