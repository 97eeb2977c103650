package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestPretrained: an arm, and what is compressed, starts from a run of the claim's pre-training of the same seed, which is made once;
// with more steps behind it, it has a lower loss.
func TestPretrained(t *testing.T) {
	if testing.Short() {
		t.Skip("its claims run whole")
	}
	claim := writeTiny(t, "seeds = 2", "seeds = 2\npretrain = [\"train.steps=60\", \"train.learning_rate=1e-2\"]",
		"[[expect]]\nmeasure = \"saved\"", "[[arm]]\nname = \"later\"\nfrom = \"pretrain\"\n[[expect]]\nmeasure = \"saved\"")
	dir := t.TempDir()
	d, first, _ := runWhole(t, []string{claim, "--json", "--cache", dir, "--docs", filepath.Join(dir, "docs")})
	random, later := d.PerSeed[0].Runs, d.PerSeed[2].Runs
	for i := range random {
		if !(later[i].Loss < random[i].Loss-0.2) {
			t.Errorf("seed %d: loss %g after pre-training, %g from random weights", i+1, later[i].Loss, random[i].Loss)
		}
	}
	if later[0].Loss == later[1].Loss {
		t.Error("both seeds start from one network")
	}
	runAgain(t, []string{claim, "--json", "--cache", dir, "--docs", filepath.Join(dir, "docs")}, first, 12)
	compressed := writeCompression(t, "seeds = 2", "seeds = 2\npretrain = [\"train.steps=60\", \"train.learning_rate=1e-2\"]", "[compress]\n", "[compress]\nfrom = \"pretrain\"\n")
	dir = t.TempDir()
	after, _, _ := runWhole(t, []string{compressed, "--json", "--cache", dir, "--docs", filepath.Join(dir, "docs")})
	if got := after.PerSeed[0].Runs[0].Loss; !(got < random[0].Loss-0.2) {
		t.Errorf("a network to compress has loss %g after pre-training, want less than %g", got, random[0].Loss)
	}
}

// TestStartsThatAreNot: a start that the claim does not describe is an error, and a package that is absent is told how to be had.
func TestStartsThatAreNot(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`name = "low"`, "name = \"low\"\nfrom = \"pretrain\"", "wants pretrain"},
		{`name = "low"`, "name = \"low\"\nfrom = \"imported\"", "wants a table [imported]"},
		{`name = "low"`, "name = \"low\"\nfrom = \"elsewhere\"", "is unknown; want pretrain or imported"},
		{"seeds = 2", "seeds = 2\npretrain = [\"train.stps=5\"]", "did you mean"},
	} {
		if _, err := Load(writeTiny(t, c.old, c.new)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	t.Setenv(packagesFrom, t.TempDir())
	claim := writeCompression(t, "[compress]\n", "[imported]\npackage = \"some-model\"\nfile = \"some_model-1.whl\"\n[compress]\nfrom = \"imported\"\n")
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--cache", t.TempDir(), "--docs", t.TempDir()}, &stdout, &stderr); code != exitOK ||
		!strings.Contains(stderr.String(), "skipped: there is no ") || !strings.Contains(stderr.String(), "pip download --no-deps some-model") {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
}
