package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sparrow/recipe"
	"sparrow/train"
)

// TestPlansAgreeWithMeasuredPeaks: what train run --dry-run says of memory is what the process takes at its peak, within
// 10%, at sizes where the model outweighs the program: 25 million parameters (the shape of 60M with a small vocabulary)
// and, if not -short, 58 million.
func TestPlansAgreeWithMeasuredPeaks(t *testing.T) {
	const tol = 0.1
	config, err := filepath.Abs(filepath.Join(root, "configs", "sltrain-60m.toml"))
	if err != nil {
		t.Fatal(err)
	}
	dense := "model.linear=[]"
	for _, c := range []struct {
		name string
		long bool
		set  []string
	}{
		{"dense", false, []string{dense}},
		{"sltrain", true, nil},
		{"sltrain, materialized", true, []string{`model.linear=[{match="model.layers.*",kind="sltrain",rank=128,alpha=32.0,density=0.03,mode="materialized"}]`}},
		{"sltrain, adamw8bit, per layer", false, []string{"train.optimizer=adamw8bit", "train.per_layer_update=true"}},
		{"recomputed", true, []string{dense, "train.batch_size=4", "model.checkpoint_activations=true"}},
		{"deep and narrow", true, []string{dense, "model.d_model=256", "model.d_ff=512", "model.n_layer=24"}},
		{"58M", true, []string{dense, "data.tokenizer=bpe", "data.max_bytes=16000000"}},
		{"58M, sltrain", true, []string{"data.tokenizer=bpe", "data.max_bytes=16000000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && testing.Short() {
				t.Skip("-short measures the small sizes only")
			}
			set := append([]string{"data.tokenizer=byte", "data.max_bytes=4000000", "train.batch_size=1", "train.grad_accum=1",
				"train.steps=3", "train.warmup_steps=1", "eval.tokens=512"}, c.set...)
			cfg, err := recipe.Load(config, set)
			if err != nil {
				t.Fatal(err)
			}
			preview, err := train.Look(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			args := []string{"run", "-c", config, "-o", "out"}
			for _, s := range set {
				args = append(args, "--set", s)
			}
			peak := float64(peakOf(t, command(t, dir, "train", args...)))
			plan := float64(preview.Plan.Total())
			t.Logf("peak %.0f MB, %.1f%% of the plan:\n%s", peak/1e6, 100*peak/plan, preview.Plan.Table(""))
			if ratio := peak / plan; !(ratio > 1-tol && ratio < 1+tol) {
				t.Errorf("the process took %.0f MB at its peak, the plan is %.0f MB (%s)", peak/1e6, plan/1e6, fmt.Sprint(c.set))
			}
		})
	}
}

// peakOf runs a command to its end and returns the most bytes that it held at once. The kernel's VmHWM is read while
// the command runs, because the figure that is there after its end, rusage's Maxrss, starts from what the test's own
// process held when it made the command's (under the race detector: more than the command ever takes).
func peakOf(t *testing.T, c *exec.Cmd) int {
	t.Helper()
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	peak := 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, output.Bytes())
			}
			return peak
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, highWater(c.Process.Pid))
		}
	}
}

// highWater is a process's VmHWM in bytes, 0 for one that has ended.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kilobytes int
	if _, err := fmt.Sscanf(string(after), "%d kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes * 1024
}
