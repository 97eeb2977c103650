package tests

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestKilledCompressionsEndEqual: SIGKILL at random moments, then the same command, again and again, ends with the bytes
// of a compression that nobody disturbed, fine-tuning included; so does another number of threads. SPARROW_KILLS is how often
// each method is killed, a few times without it.
func TestKilledCompressionsEndEqual(t *testing.T) {
	for _, c := range []struct{ name, method, tables string }{
		{"fwsvd", "fwsvd", "[compress.finetune.distill]"},
		{"dsformer", "dsformer", ""},
		{"dsformer with latent weights", "dsformer", "[compress.finetune.stf]\nkind = \"latent\"\nrefresh = 2\n[compress.finetune.distill]"},
		{"dsformer with latent coefficients in 8 bits", "dsformer", "[compress.finetune.stf]\nkind = \"support\"\n[compress.quantize]\nbits = 8"},
	} {
		t.Run(c.name, func(t *testing.T) { killedCompressionsEndEqual(t, c.method, c.tables) })
	}
}

// killedCompressionsEndEqual is for a method and further tables of the config.
func killedCompressionsEndEqual(t *testing.T, method, tables string) {
	most := wantedKills(t)
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out", "--set", "model.n_layer=2")
	write(t, dir, "c.toml", `name = "small"
[compress]
from = "out"
method = "`+method+`"
ratio = 0.5
[compress.dsformer]
block = 8
atoms = [8, 12]
[compress.calibration]
examples = 64
[compress.finetune]
steps = 8
batch_size = 2
warmup_steps = 2
`+tables+"\n")
	args := func(out string, threads int) []string {
		return []string{"run", "-c", "c.toml", "-o", out, "--threads", fmt.Sprint(threads)}
	}
	// All write to folders of one name, which checkpoints mention, and each begins without statistics.
	began := time.Now()
	mustRun(t, dir, "compress", args("small", 2)...)
	took := time.Since(began)
	want := compressed(t, filepath.Join(dir, "small"))
	again := func() {
		for _, name := range []string{"small", "runs"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	again()
	mustRun(t, dir, "compress", args("small", 1)...)
	equalCompressions(t, compressed(t, filepath.Join(dir, "small")), want)
	hit := map[string]int{} // kills by what there was
	for kills := 0; kills < most; {
		again()
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 0))
		for kills < most {
			c := command(t, dir, "compress", args("small", 1+random.IntN(2))...)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.Int64N(int64(took)))) // any moment of what is left, or after it
			_ = c.Process.Kill()
			if err := c.Wait(); err == nil {
				break // it had finished
			} else if c.ProcessState.ExitCode() > 0 {
				t.Fatalf("seed %d: it ended by itself with exit code %d\n%s", seed, c.ProcessState.ExitCode(), stderr.String())
			}
			kills++
			hit[stage(filepath.Join(dir, "small"))]++
		}
		t.Logf("seed %d: %d kills of %d: %v", seed, kills, most, hit)
		mustRun(t, dir, "compress", args("small", 2)...)
		equalCompressions(t, compressed(t, filepath.Join(dir, "small")), want)
	}
}

// stage is how far a compression has come.
func stage(dir string) string {
	for _, s := range []struct{ name, path string }{
		{"measured", "result.json"}, {"trained some", "finetune/checkpoints"}, {"training", "finetune"}, {"compressed", "checkpoints/step-000000"}, {"planned", "plan"}, {"begun", "compress.toml"},
	} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(s.path))); err == nil {
			return s.name
		}
	}
	return "nothing"
}

// wantedKills is how often a compression is to be killed.
func wantedKills(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("SPARROW_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("SPARROW_KILLS = %q; want a number from 1 on", text)
		}
		return n
	}
	if testing.Short() {
		return 3
	}
	return 8
}

// compressed maps the files that a compression must leave to their bytes: all but the record of the fine-tuning's own run,
// which tells of times and processes.
func compressed(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if d != nil && d.IsDir() && rel == "finetune" {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func equalCompressions(t *testing.T, got, want map[string]string) {
	t.Helper()
	if d := difference(got, want); len(d) > 0 {
		t.Errorf("these differ from those of the undisturbed compression: %v", d)
	}
}
