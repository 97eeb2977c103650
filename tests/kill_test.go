package tests

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sparrow/metrics"
)

// killable trains about a second, with two micro-batches a step, a
// checkpoint every other step and evaluations between them, so that a kill at a
// random moment hits each part of the loop.
func killable(t *testing.T) (dir string, args []string) {
	t.Helper()
	dir = workplace(t)
	return dir, []string{"-c", "tiny.toml", "--set", "train.steps=24", "--set", "train.grad_accum=2", "--set", "train.batch_size=8",
		"--set", "model.dropout=0.1", "--set", "model.n_layer=2", "--set", "model.d_model=32", "--set", "data.seq_len=32",
		"--set", "checkpoint.every=2", "--set", "eval.every=3", "--set", "eval.tokens=512"}
}

// killableClassifier is killable for a classifier of texts in buckets of two or
// more lengths, with dropout and early stopping that does not happen.
func killableClassifier(t *testing.T) (dir string, args []string) {
	t.Helper()
	dir = workplace(t)
	for name, text := range map[string]string{"reviews.toml": reviewsConfig, "reviews.tsv": reviews(300)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"-c", "reviews.toml", "--set", "train.steps=24", "--set", "train.grad_accum=2", "--set", "checkpoint.every=2", "--set", "eval.every=3"}
}

// reviewsConfig trains an encoder on reviews.tsv.
const reviewsConfig = `name = "reviews"
seed = 2
[data]
source = "tsv"
train = "reviews.tsv"
validation_share = 0.1
text_columns = ["text"]
label_column = "label"
tokenizer = "word"
min_count = 1
max_len = 48
[model]
kind = "encoder"
d_model = 32
n_layer = 1
dropout = 0.2
[model.attention]
n_head = 2
[train]
steps = 24
batch_size = 8
learning_rate = 3e-3
patience = 20
[eval]
every = 3
metric = "accuracy"
[checkpoint]
every = 2
`

// reviews are n texts of 3 to 44 words, of which one tells the label.
func reviews(n int) string {
	r := rand.New(rand.NewPCG(4, 9))
	telling := [2][]string{{"dull", "poor", "weak"}, {"lovely", "warm", "clever"}}
	filling := []string{"the", "film", "was", "and", "plot", "with", "a", "story", "it", "its"}
	var b strings.Builder
	b.WriteString("text\tlabel\n")
	for range n {
		label, words := r.IntN(2), 2+r.IntN(42)
		at := r.IntN(words + 1)
		for i := range words + 1 {
			word := filling[r.IntN(len(filling))]
			if i == at {
				word = telling[label][r.IntN(3)]
			}
			b.WriteString(word + " ")
		}
		fmt.Fprintf(&b, "\t%s\n", []string{"neg", "pos"}[label])
	}
	return b.String()
}

// trained is what a run must leave, however it got there.
type trained struct {
	files map[string]string // of the last checkpoint
	csv   [][]string        // metrics.csv without the speed
}

func readTrained(t *testing.T, run string) trained {
	t.Helper()
	r := trained{files: map[string]string{}}
	for _, name := range []string{"model.npz", "optimizer.npz", "state.json", "config.toml", "tokenizer.json", "manifest.json"} {
		b, err := os.ReadFile(filepath.Join(run, "checkpoints", "step-000024", name))
		if err != nil {
			t.Fatal(err)
		}
		r.files[name] = string(b)
	}
	f, err := os.Open(filepath.Join(run, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.csv, err = csv.NewReader(f).ReadAll(); err != nil {
		t.Fatal(err)
	}
	for i, name := range r.csv[0] {
		if strings.HasSuffix(name, "_per_second") {
			for _, row := range r.csv {
				row[i] = ""
			}
		}
	}
	return r
}

// equal reports every difference of two runs.
func (r trained) equal(t *testing.T, want trained) {
	t.Helper()
	for name := range want.files {
		if r.files[name] != want.files[name] {
			t.Errorf("%s of the last checkpoint differs from that of the uninterrupted run", name)
		}
	}
	for i := range max(len(r.csv), len(want.csv)) {
		if i >= len(r.csv) || i >= len(want.csv) || !slices.Equal(r.csv[i], want.csv[i]) {
			t.Errorf("metrics.csv: %d rows, want %d; they differ from row %d on", len(r.csv), len(want.csv), i+1)
			return
		}
	}
}

// TestKilledRunsEndEqual: SIGKILL at random moments, then train resume, again
// and again, ends with the bytes of a run that nobody disturbed; so does another
// number of threads.
func TestKilledRunsEndEqual(t *testing.T) {
	rounds, most := 3, 5
	if testing.Short() {
		rounds, most = 1, 2
	}
	t.Run("adamw", func(t *testing.T) { killedRunsEndEqual(t, rounds, most) })
	t.Run("adamw8bit per layer", func(t *testing.T) {
		killedRunsEndEqual(t, 1, most, "--set", "train.optimizer=adamw8bit", "--set", "train.adam_block_size=64",
			"--set", "train.per_layer_update=true", "--set", "train.grad_accum=1", "--set", "train.grad_clip=0.0")
	})
	t.Run("sltrain", func(t *testing.T) {
		killedRunsEndEqual(t, 1, most, "--set", "train.grad_accum=1", "--set", "train.grad_clip=0.0", "--set", "train.per_layer_update=true",
			"--set", "train.optimizer=adamw8bit", "--set", `model.linear=[{match="*.layers.*",kind="sltrain",rank=4,density=0.1}]`)
	})
	t.Run("classifier", func(t *testing.T) {
		dir, args := killableClassifier(t)
		killed(t, dir, args, 1, most)
	})
	t.Run("classifier per layer", func(t *testing.T) {
		dir, args := killableClassifier(t)
		killed(t, dir, append(args, "--set", "train.per_layer_update=true", "--set", "train.grad_accum=1", "--set", "train.grad_clip=0.0"), 1, most)
	})
	t.Run("adapter", func(t *testing.T) {
		dir, args := killable(t)
		mustRun(t, dir, "train", append([]string{"run", "-o", "base"}, args...)...)
		killedRunsEndEqual(t, 1, most, "--set", "train.init_from="+filepath.Join(dir, "base"), "--set", `train.freeze=[{match="model.embed*"}]`,
			"--set", `model.linear=[{match="*.layers.*",kind="lora",rank=4,base="int8"}]`)
	})
}

func killedRunsEndEqual(t *testing.T, rounds, most int, more ...string) {
	t.Helper()
	dir, args := killable(t)
	killed(t, dir, append(args, more...), rounds, most)
}

// killed is killedRunsEndEqual of the run with these arguments.
func killed(t *testing.T, dir string, args []string, rounds, most int) {
	t.Helper()
	mustRun(t, dir, "train", append([]string{"run", "-o", "whole", "--threads", "2"}, args...)...)
	want := readTrained(t, filepath.Join(dir, "whole"))

	mustRun(t, dir, "train", append([]string{"run", "-o", "one", "--threads", "1"}, args...)...)
	readTrained(t, filepath.Join(dir, "one")).equal(t, want)

	for round := range rounds {
		seed := uint64(time.Now().UnixNano())
		t.Logf("round %d: seed %d", round, seed)
		random := rand.New(rand.NewPCG(seed, 0))
		name := fmt.Sprint("killed", round)
		kills, inWrite, step := 0, 0, 0
		for kills < most {
			verb := []string{"resume", name}
			if _, err := os.Stat(filepath.Join(dir, name, "config.toml")); err != nil {
				// Killed before the folder was made, or never begun.
				verb = append([]string{"run", "-o", name}, args...)
			}
			c := command(t, dir, "train", append(verb, "--threads", fmt.Sprint(1+random.IntN(2)))...)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			waitForStep(filepath.Join(dir, name), step+1+random.IntN(6))
			if random.IntN(2) == 0 && waitForWrite(filepath.Join(dir, name, "checkpoints")) {
				inWrite++
			} else {
				time.Sleep(time.Duration(random.IntN(8000)) * time.Microsecond)
			}
			_ = c.Process.Kill()
			if err := c.Wait(); err == nil {
				break // it had finished: nothing is left to kill
			} else if c.ProcessState.ExitCode() > 0 {
				t.Fatalf("%q ended by itself with exit code %d\n%s", verb, c.ProcessState.ExitCode(), stderr.String())
			}
			kills++
			step = lastStep(filepath.Join(dir, name))
		}
		if kills == 0 {
			t.Errorf("round %d: the run ended before it could be killed", round)
		}
		t.Logf("round %d: %d kills, %d of them aimed at the writing of a checkpoint", round, kills, inWrite)
		mustRun(t, dir, "train", "resume", name)
		readTrained(t, filepath.Join(dir, name)).equal(t, want)
		left, err := filepath.Glob(filepath.Join(dir, name, "checkpoints", ".*"))
		if err != nil || len(left) > 0 {
			t.Errorf("round %d: half-written checkpoints are left: %v %v", round, left, err)
		}
	}
}

// lastStep is the step of a run's newest record.
func lastStep(run string) int {
	records, err := metrics.Read(filepath.Join(run, "metrics.csv"))
	if err != nil || len(records) == 0 {
		return 0
	}
	return records[len(records)-1].Step
}

// waitForStep returns when the run has reached the step, or soon after it ended:
// moments are counted in steps, because a busy machine has no fixed pace.
func waitForStep(run string, step int) {
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end) && lastStep(run) < min(step, 24); {
		time.Sleep(time.Millisecond)
	}
}

// waitForWrite returns true as soon as a checkpoint is being written, and false
// if none is for a while.
func waitForWrite(parent string) bool {
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		if found, _ := filepath.Glob(filepath.Join(parent, ".tmp-*")); len(found) > 0 {
			return true
		}
	}
	return false
}

// TestKillAtOnce: killed while it starts, a run can be started or continued.
func TestKillAtOnce(t *testing.T) {
	dir, args := killable(t)
	for i := range 6 {
		c := command(t, dir, "train", append([]string{"run", "-o", "early"}, args...)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*4) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		o := run(t, dir, "train", "resume", "early", "--set", "train.steps=2")
		if _, err := os.Stat(filepath.Join(dir, "early")); err != nil {
			if o.code != 2 {
				t.Errorf("resume of a run without a folder: exit code %d, want 2", o.code)
			}
			continue
		}
		if o.code != 0 {
			// The folder is there and the config is not yet.
			mustRun(t, dir, "train", append([]string{"run", "-o", "early"}, append(slices.Clone(args), "--set", "train.steps=2")...)...)
		}
		if err := os.RemoveAll(filepath.Join(dir, "early")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInterrupt: SIGINT, SIGTERM and SIGHUP finish the step, save, name the command that
// continues and exit with 130; that command ends with the same bytes.
func TestInterrupt(t *testing.T) {
	needSignals(t)
	dir, args := killable(t)
	mustRun(t, dir, "train", append([]string{"run", "-o", "whole"}, args...)...)
	want := readTrained(t, filepath.Join(dir, "whole"))
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		name := fmt.Sprint("stopped", int(signal))
		c, stderr := startAndSee(t, dir, "step 8/24", append([]string{"run", "-o", name}, args...)...)
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		text := stderr()
		if c.ProcessState.ExitCode() != 130 {
			t.Fatalf("%v: exit code %d, want 130\n%s", signal, c.ProcessState.ExitCode(), text)
		}
		if !strings.Contains(text, "stopping at the next batch, saving a checkpoint (again to stop at once)\n") {
			t.Errorf("%v: no message that it is stopping\n%s", signal, text)
		}
		_, advised, ok := strings.Cut(strings.TrimSpace(text), "train: interrupted; the state is saved, continue it by: ")
		if !ok {
			t.Fatalf("%v: no command that continues\n%s", signal, text)
		}
		shell := exec.Command("sh", "-c", advised)
		shell.Dir, shell.Env = dir, c.Env
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", advised, err, out)
		}
		readTrained(t, filepath.Join(dir, name)).equal(t, want)
	}
}

// TestNobodyReads: a run whose messages nobody reads any more goes on to its end, with the same bytes.
func TestNobodyReads(t *testing.T) {
	needSignals(t)
	dir, args := killable(t)
	mustRun(t, dir, "train", append([]string{"run", "-o", "whole"}, args...)...)
	c := command(t, dir, "train", append([]string{"run", "-o", "unread"}, args...)...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	// The signals are caught once the run writes what it measures.
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "unread", "metrics.csv")); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the run does not begin")
		}
	}
	r.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("it ends with %v", err)
	}
	readTrained(t, filepath.Join(dir, "unread")).equal(t, readTrained(t, filepath.Join(dir, "whole")))
}

// TestInterruptTwice: the second SIGINT does not wait for the step.
func TestInterruptTwice(t *testing.T) {
	needSignals(t)
	dir, args := killable(t)
	// A step of a minute, so that only stopping at once can end it in time.
	slow := append(slices.Clone(args), "--set", "train.grad_accum=100000", "--set", "checkpoint.every=0")
	c, stderr := startAndSee(t, dir, "model: ", append([]string{"run", "-o", "out"}, slow...)...)
	// Signals are caught from just after the run's folder is there.
	for range 500 {
		if _, err := os.Stat(filepath.Join(dir, "out", "metrics.csv")); err == nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	began := time.Now()
	for !strings.Contains(stderr(), "stopping at the next batch") {
		_ = c.Process.Signal(syscall.SIGINT)
		for range 50 {
			if strings.Contains(stderr(), "stopping at the next batch") {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	_ = c.Process.Signal(syscall.SIGINT)
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 130 || time.Since(began) > 5*time.Second {
		t.Errorf("exit code %d after %v, want 130 at once", code, time.Since(began))
	}
	if text := stderr(); !strings.Contains(text, "stopped at once; continue from the newest checkpoint by: ") {
		t.Errorf("no command that continues\n%s", text)
	}
	if o := run(t, dir, "train", "resume", "out", "--set", "train.grad_accum=1", "--set", "train.steps=2"); o.code != 0 {
		t.Errorf("resume: exit code %d\n%s", o.code, o.stderr)
	}
}

// startAndSee starts train and returns when its standard error contains text;
// stderr returns all of it so far.
func startAndSee(t *testing.T, dir, text string, args ...string) (c *exec.Cmd, stderr func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stderr")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c = command(t, dir, "train", args...)
	c.Stderr = f
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	stderr = func() string {
		b, _ := os.ReadFile(path)
		return string(b)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(stderr(), text) {
			return c, stderr
		}
	}
	t.Fatalf("no %q on standard error in 30 s:\n%s", text, stderr())
	return nil, nil
}

func needSignals(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no way to send an interrupt to another process")
	}
}
