package compress

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/recipe"
)

// TestConfigErrors: each mistake is reported with its line, and what was wanted.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no budget", "", "a.toml:1: [compress] ratio = 0.0 is not set, nor params or bytes"},
		{"all removed", "ratio = 1.0", "a.toml:3: [compress] ratio = 1.0 is out of range; want the share of bytes to remove"},
		{"negative ratio", "ratio = -0.5", "a.toml:3: [compress] ratio = -0.5 is out of range"},
		{"negative bytes", "bytes = -1", "a.toml:3: [compress] bytes = -1 is out of range; want at least 1 byte"},
		{"two budgets", "ratio = 0.5\nbytes = 100", "a.toml:4: [compress] bytes = 100 is a second budget"},
		{"method", "ratio = 0.5\nmethod = \"fsvd\"", `a.toml:4: [compress] method = "fsvd" is unknown; want one of svd, fwsvd`},
		{"row", "ratio = 0.5\nrow = \"up\"", `row = "up" is unknown; want one of in, out, both`},
		{"typo", "ratoi = 0.5", `a.toml:3: unknown key "ratoi" in [compress]; did you mean "ratio"?`},
		{"allocation", "ratio = 0.5\nallocation = \"best\"", `allocation = "best" is unknown; want one of loss, uniform`},
		{"pattern", "ratio = 0.5\n[[compress.layer]]\nmatch = \"[\"", `a.toml:5: [[compress.layer]] match = "[" is not a valid glob pattern`},
		{"layer method", "ratio = 0.5\n[[compress.layer]]\nmatch = \"*\"\nmethod = \"none\"", `method = "none" is unknown; want one of dense, svd`},
		{"calibration", "ratio = 0.5\n[compress.calibration]\nexamples = 0", `a.toml:5: [compress.calibration] examples = 0 is too small`},
		{"batch", "ratio = 0.5\n[compress.calibration]\nexamples = 4\nfisher_batch = 5", `fisher_batch = 5 is out of range; want 1 to examples = 4`},
		{"finetune", "ratio = 0.5\n[compress.finetune]\ninit_from = \"x\"", `a.toml:5: [compress.finetune] init_from = "x" is not for a fine-tuning`},
		{"finetune steps", "ratio = 0.5\n[compress.finetune]\nsteps = 0", `a.toml:5: [compress.finetune] steps = 0 is too small`},
		{"stf", "ratio = 0.5\n[compress.finetune.stf]\nkind = \"latent\"", `[compress.finetune.stf] trains dense-sparse layers, and no method here makes any`},
		{"stf from", "ratio = 0.5\n[compress.finetune.stf]\nfrom = \"x\"", `[compress.finetune.stf] from = "x" is not for a fine-tuning, whose latent`},
		{"dsformer block", "ratio = 0.5\n[compress.dsformer]\nblock = 0", `a.toml:5: [compress.dsformer] block = 0 is too small; want at least 1`},
		{"dsformer atoms", "ratio = 0.5\n[compress.dsformer]\natoms = [64, 300]", `[compress.dsformer] atoms = [64, 300] has 300; want different numbers from 1 to 256`},
		{"dsformer atoms twice", "ratio = 0.5\n[compress.dsformer]\natoms = [64, 64]", `atoms = [64, 64] has 64; want different numbers`},
		{"dsformer no atoms", "ratio = 0.5\n[compress.dsformer]\natoms = []", `atoms = [] is empty; want one number, or several to choose from`},
		{"dsformer nonzeros", "ratio = 0.5\n[compress.dsformer]\nnonzeros = [4, 3]", `nonzeros = [4, 3] is no range; want the least and the most atoms of a vector`},
		{"dsformer few atoms", "ratio = 0.5\n[compress.dsformer]\natoms = [4, 8]\nnonzeros = [5, 8]", `nonzeros = [5, 8] is no range`},
		{"dsformer axis", "ratio = 0.5\n[compress.dsformer]\naxis = \"up\"", `axis = "up" is unknown; want one of in, out`},
		{"dsformer sweeps", "ratio = 0.5\n[compress.dsformer]\nsweeps = -1", `sweeps = -1 is negative; want 0 or more`},
		{"dsformer weights", "ratio = 0.5\n[compress.dsformer]\nweights = \"hessian\"", `weights = "hessian" is unknown; want one of fisher, none`},
		{"dsformer typo", "ratio = 0.5\n[compress.dsformer]\nblocks = 8", `unknown key "blocks" in [compress.dsformer]; did you mean "block"?`},
		{"data", "ratio = 0.5\n[compress.data]\nsource = \"web\"", `a.toml:5: [compress.data] source = "web" is unknown`},
	} {
		cfg := DefaultConfig()
		err := configs.Decode("a.toml", []byte("[compress]\nfrom = \"x\"\n"+c.text+"\n"), &cfg, configs.Options{Lists: recipe.Lists()})
		if !errors.Is(err, configs.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestConfigSurvivesItsText: a config is the same after writing and reading, as a continued run needs.
func TestConfigSurvivesItsText(t *testing.T) {
	cfg := DefaultConfig()
	text := "[compress]\nfrom = \"x\"\nratio = 0.5\n[[compress.layer]]\nmatch = \"*.mlp.*\"\nmethod = \"svd\"\n[compress.dsformer]\natoms = [32]\nnonzeros = [1, 8]\n[compress.data]\nseq_len = 32\n[compress.finetune]\nsteps = 20\n"
	if err := configs.Decode("a.toml", []byte(text), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		t.Fatal(err)
	}
	if f := cfg.Compress.Finetune; f.Steps != 20 || f.LearningRate != 3e-4 || f.Schedule != "linear" || f.Beta1 != 0.9 {
		t.Errorf("fine-tuning has not its defaults: %+v", f)
	}
	written, err := configs.Encode(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again := DefaultConfig()
	if err := configs.Decode("b.toml", written, &again, configs.Options{Lists: recipe.Lists()}); err != nil {
		t.Fatal(err)
	}
	back, err := configs.Encode(again)
	if err != nil || string(back) != string(written) {
		t.Errorf("written again it differs:\n%s\n%s%v", written, back, err)
	}
}

// TestKindOfOverride: the kind of a fine-tuning by STF that an override gives has its own defaults, which an override of
// another key leaves alone.
func TestKindOfOverride(t *testing.T) {
	for _, text := range []string{"", "[compress.finetune.stf]\n", "[compress.finetune.stf]\nkind = \"support\"\n"} {
		cfg := DefaultConfig()
		set := []string{"compress.finetune.stf.refresh=7", "compress.finetune.stf.kind=latent"}
		err := configs.Decode("a.toml", []byte("[compress]\nfrom = \"x\"\nratio = 0.5\nmethod = \"dsformer\"\n"+text), &cfg, configs.Options{Lists: recipe.Lists(), Set: set})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := *stfOf("latent")
		latent := want.Of.(recipe.STFLatent)
		latent.Refresh = 7
		want.Of = latent
		if got := *cfg.Compress.Finetune.STF; got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}

// stfOf is the table of a kind of STF with its defaults.
func stfOf(kind string) *recipe.STF {
	c := &recipe.STF{}
	c.SetDefaults()
	for _, k := range recipe.STFKinds() {
		if k.Name == kind {
			c.OneOf = configs.OneOf[recipe.STFKind]{Name: kind, Of: k.New()}
		}
	}
	return c
}

// TestStoredFinetune: results of earlier versions spell out the keys of every kind of STF; those of other kinds are dropped at
// their defaults of then.
func TestStoredFinetune(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compress.toml")
	for stored, want := range map[string]string{"rate = 0.0": "", "rate = 0.5": `compress.toml:7: unknown key "rate" in [compress.finetune.stf] of kind = "frozen"; it is a key of latent, support`} {
		text := "[compress]\nfrom = \"x\"\nratio = 0.5\nmethod = \"dsformer\"\n[compress.finetune.stf]\nkind = \"frozen\"\n" + stored + "\nrefresh = 0\nmargin = 0.0\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(file, nil)
		if want == "" && (err != nil || *cfg.Compress.Finetune.STF != *stfOf("frozen")) || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", stored, err, want)
		}
	}
}

// TestStoredCalibrationData: so are the keys of every source.
func TestStoredCalibrationData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compress.toml")
	for stored, want := range map[string]string{"max_len = 256": "", "max_len = 64": `compress.toml:9: unknown key "max_len" in [compress.data]; here it is called [compress.data] seq_len`} {
		text := "[compress]\nfrom = \"x\"\nratio = 0.5\nmethod = \"svd\"\n[compress.data]\nsource = \"text\"\npaths = [\"a.txt\"]\nseq_len = 32\n" + stored + "\nheader = true\nmean = []\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(file, nil)
		if want == "" && (err != nil || cfg.Compress.Data.SeqLen() != 32) || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", stored, err, want)
		}
	}
}
