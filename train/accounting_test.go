package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/cost"
	"sparrow/internal/machine"
	"sparrow/recipe"
)

// paperSizes are the columns of Han et al. 2024, table 2 (60M to 1B), and the same sums for 7B: parameters in
// millions and memory in GB, for full rank, low rank and SLTrain.
var paperSizes = []struct {
	config     string
	parameters [3]string
	memory     [3]string
}{
	{"60m", [3]string{"58.1", "42.8", "43.5"}, [3]string{"0.348", "0.257", "0.267"}},
	{"130m", [3]string{"134.1", "94.0", "96.5"}, [3]string{"0.805", "0.564", "0.600"}},
	{"350m", [3]string{"368.0", "185.2", "194.3"}, [3]string{"2.208", "1.111", "1.238"}},
	{"1b", [3]string{"1339.1", "609.3", "645.5"}, [3]string{"8.034", "3.656", "4.163"}},
	{"7b", [3]string{"6738", "2821", "3145"}, [3]string{"40.4", "16.9", "21.5"}},
}

func shipped(t *testing.T, name string, set ...string) recipe.Config {
	t.Helper()
	cfg, err := recipe.Load(filepath.Join("..", "configs", name+".toml"), set)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// round writes x with as many decimals as want has.
func round(x float64, want string) string {
	_, decimals, _ := strings.Cut(want, ".")
	return fmt.Sprintf("%.*f", len(decimals), x)
}

// TestPaperTable: the shipped configs have the paper's parameters and, counted as it counts, its memory.
func TestPaperTable(t *testing.T) {
	for _, size := range paperSizes {
		t.Run(size.config, func(t *testing.T) {
			cfg := shipped(t, "sltrain-"+size.config)
			made, _ := cfg.Data.Tokenizer()
			a, err := accountsOf(cfg, cfg.Dims(made.VocabSize))
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range []cost.Account{a.Full, a.LowRank, a.Configured} {
				if got := round(float64(c.Parameters)/1e6, size.parameters[i]); got != size.parameters[i] {
					t.Errorf("%s: %s million parameters, want %s", c.Name, got, size.parameters[i])
				}
				if got := round(float64(c.Total())/1e9, size.memory[i]); got != size.memory[i] {
					t.Errorf("%s: %s GB, want %s", c.Name, got, size.memory[i])
				}
			}
		})
	}
}

// TestPlanOf7B: at the 7B shape, in this program's own numbers, SLTrain with 8-bit states and per-layer updates needs
// a quarter of dense AdamW's memory or less, as much as docs/methods/sltrain.md says; and such a plan is made on a machine that could not
// hold either.
func TestPlanOf7B(t *testing.T) {
	small, err := Look(context.Background(), shipped(t, "sltrain-7b"))
	if err != nil {
		t.Fatal(err)
	}
	dense, err := Look(context.Background(), shipped(t, "sltrain-7b", "model.linear=[]", "train.optimizer=adamw", "train.per_layer_update=false"))
	if err != nil {
		t.Fatal(err)
	}
	ratio := float64(small.Plan.Total()) / float64(dense.Plan.Total())
	t.Logf("dense AdamW:\n%sSLTrain, 8-bit, per layer:\n%sratio %.3f", dense.Plan.Table(""), small.Plan.Table(""), ratio)
	if ratio > 0.25 {
		t.Errorf("%.1f%% of dense AdamW's memory, want at most 25%%", 100*ratio)
	}
	if got, want := dense.Plan.Weights, 4*6738415616; got != want {
		t.Errorf("dense weights of %d bytes, want %d", got, want)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "methods", "sltrain.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("At 7B the plan is %s where dense AdamW needs %s.", machine.Bytes(float64(small.Plan.Total())), machine.Bytes(float64(dense.Plan.Total())))
	if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), said) {
		t.Errorf("docs/methods/sltrain.md does not say: %s", said)
	}
}
