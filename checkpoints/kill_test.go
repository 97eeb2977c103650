package checkpoints

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const killRun = "CHECKPOINTS_TEST_KILL_RUN"

// killContents is large enough that a kill falls into every phase of a write.
func killContents(step int) Contents {
	data := make([]float32, 100_000)
	for i := range data {
		data[i] = float32(step)
	}
	return Contents{Step: step, Arrays: map[string][]Array{"model.npz": {{"w", []int{1000, 100}, data}}},
		Files: map[string][]byte{"state.json": fmt.Appendf(nil, "%d", step)}}
}

// TestKillChild is the process that TestKilledAtAnyMoment kills: it writes and rewrites two checkpoints for ever.
func TestKillChild(t *testing.T) {
	run := os.Getenv(killRun)
	if run == "" {
		t.Skip("runs as the child of TestKilledAtAnyMoment")
	}
	for i := 0; ; i++ {
		step := 1 + i%2
		if err := Write(StepDir(run, step), killContents(step)); err != nil {
			t.Fatal(err)
		}
		if err := Prune(run, 2); err != nil {
			t.Fatal(err)
		}
		fmt.Println("wrote", step)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	run := t.TempDir()
	if err := Write(StepDir(run, 1), killContents(1)); err != nil {
		t.Fatal(err)
	}
	if err := Write(StepDir(run, 2), killContents(2)); err != nil {
		t.Fatal(err)
	}
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	rng := rand.New(rand.NewPCG(1, 2))
	leftovers := 0
	for range rounds {
		var out strings.Builder
		child := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
		child.Env = append(os.Environ(), killRun+"="+run)
		child.Stdout = &out
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.IntN(120_000))*time.Microsecond, func() { _ = child.Process.Kill() })
		err := child.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || strings.Contains(out.String(), "FAIL") {
			t.Fatalf("child: %v\n%s", err, out.String())
		}
		entries, err := os.ReadDir(filepath.Join(run, "checkpoints"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				leftovers++
			}
		}
		if got := steps(t, run); got != "step-000001 step-000002" {
			t.Fatalf("after a kill: %s, want both checkpoints (folder: %v)", got, entries)
		}
		for step := 1; step <= 2; step++ {
			c, err := Open(StepDir(run, step))
			if err != nil {
				t.Fatal(err)
			}
			arrays, err := c.Arrays("model.npz")
			if err != nil {
				t.Fatal(err)
			}
			if w := arrays[0].Data.([]float32); w[0] != float32(step) || w[len(w)-1] != float32(step) {
				t.Fatalf("step %d holds %v", step, w[0])
			}
		}
	}
	t.Logf("%d kills left %d leftovers", rounds, leftovers)
	if leftovers == 0 {
		t.Error("no kill fell into a write: the test has shown nothing")
	}
	if err := Write(StepDir(run, 2), killContents(2)); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(run, "checkpoints")); len(entries) != 2 {
		t.Errorf("after the next Write: %v, want no leftover", entries)
	}
}
