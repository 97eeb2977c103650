package tests

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/kernel"
	"sparrow/train"
)

// TestRunInfo: run.json keeps the process that began a run and lists those that
// continued it, so that every later one is told of another instruction set.
func TestRunInfo(t *testing.T) {
	best := kernel.ISA()
	if best == "go" {
		t.Skip("this CPU has one instruction set only")
	}
	dir := workplace(t)
	start := func(isa string, args ...string) string {
		t.Helper()
		c := command(t, dir, "train", args...)
		c.Env = append(c.Env, "SPARROW_ISA="+isa)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	read := func() (info train.RunInfo) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "out", "run.json"))
		if err == nil {
			err = json.Unmarshal(text, &info)
		}
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	const warning = "warning: after step %d this run went on with instruction set %s, this machine uses %s"
	start(best, "run", "-c", "tiny.toml", "-o", "out")
	first := read()
	config, err := os.ReadFile(filepath.Join(dir, "out", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(config)); first.Config != want || len(first.Resumed) != 0 {
		t.Errorf("run.json %+v, want config_sha256 %s and nobody that resumed", first, want)
	}
	for i, c := range []struct{ name, isa, warning string }{
		{"the same", best, ""},
		{"another", "go", fmt.Sprintf(warning, 0, best, "go")},
		{"another again", "go", fmt.Sprintf(warning, 0, best, "go")},
		{"the first again", best, fmt.Sprintf(warning, 7, "go", best)},
	} {
		out := start(c.isa, "resume", "out", "--set", fmt.Sprintf("train.steps=%d", 7+i))
		if strings.Contains(out, "instruction set") != (c.warning != "") || !strings.Contains(out, c.warning) {
			t.Errorf("%s: want the warning %q in:\n%s", c.name, c.warning, out)
		}
		info := read()
		if info.Process != first.Process || len(info.Resumed) != i+1 {
			t.Fatalf("%s: run.json %+v, want the first process unchanged and %d that resumed", c.name, info, i+1)
		}
		if last := info.Resumed[i]; last.Step != 6+i || last.InstructionSet != c.isa || last.Config == first.Config {
			t.Errorf("%s: recorded %+v, want step %d, instruction set %s and a config of its own", c.name, last, 6+i, c.isa)
		}
	}
}
