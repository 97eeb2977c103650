package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sparrow/tests/claims/provenance"
	"strings"
	"testing"
	"time"
)

// The test binary is also the program, so that tests can start and kill it.
func TestMain(m *testing.M) {
	if os.Getenv("CLAIMS_TEST_MAIN") != "" || len(os.Args) == 2 && (os.Args[1] == workerCommand || os.Args[1] == sweepCommand) {
		main()
	}
	os.Exit(m.Run())
}

// program is the claims program with arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "CLAIMS_TEST_MAIN=1")
	return cmd
}

// results lists the finished runs of a cache with the times they were written.
func results(t *testing.T, cache string) map[string]time.Time {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(cache, "[0-9a-f]*.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]time.Time{}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		found[p] = info.ModTime()
	}
	return found
}

// A whole claim: documents for people and machines, and all from the cache the second time.
func TestWholeClaim(t *testing.T) {
	claim := writeTiny(t)
	dir := t.TempDir()
	cache, docs := filepath.Join(dir, "cache"), filepath.Join(dir, "docs")
	args := []string{claim, "--json", "--cache", cache, "--docs", docs}
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	var fields map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &fields); err != nil || strings.Count(stdout.String(), "\n") != 1 {
		t.Fatalf("--json printed %q (%v), want one object on one line", &stdout, err)
	}
	for _, key := range []string{"claim", "paper", "expected", "measured", "per_seed", "seeds", "verdict", "commit", "config_sha256", "machine"} {
		if fields[key] == nil {
			t.Errorf("--json has no %q", key)
		}
	}
	var d document
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Verdict != Holds || len(d.Seeds) != 2 || len(d.PerSeed) != 2 || len(d.Measured) != 2 {
		t.Errorf("verdict %s, %d seeds, %d arms, %d findings; want holds, 2, 2, 2", d.Verdict, len(d.Seeds), len(d.PerSeed), len(d.Measured))
	}
	for _, a := range d.PerSeed {
		for i, r := range a.Runs {
			if !(r.Loss > 1 && r.Loss < 6) || r.Tokens != 4*2*8 || r.Steps != 4 || r.Parameters < 1000 {
				t.Errorf("arm %s, seed %d: %+v: want a loss near ln 256 after 4 steps of 16 tokens", a.Arm, i+1, r)
			}
		}
		if len(a.Tuning) != 2 || a.Runs[0].Loss == a.Runs[1].Loss {
			t.Errorf("arm %s: %d learning rates tried, seeds with losses %v and %v; want 2 and two losses", a.Arm, len(a.Tuning), a.Runs[0].Loss, a.Runs[1].Loss)
		}
	}
	md, err := os.ReadFile(filepath.Join(docs, "tiny.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"**Verdict: holds.**", "| seed 1 | seed 2 |", "![t](tiny.svg)", d.ConfigSHA256[:12]} {
		if !strings.Contains(string(md), want) {
			t.Errorf("tiny.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "tiny.svg")); err != nil || !bytes.Contains(svg, []byte("validation loss")) {
		t.Errorf("tiny.svg: %v, %d bytes; want a figure of validation loss", err, len(svg))
	}

	// What a person wrote under the heading stays; everything else comes from the cache.
	const thoughts = "\n## Analysis\n\nBecause it is small.\n"
	if err := os.WriteFile(filepath.Join(docs, "tiny.md"), append(md, thoughts...), 0o644); err != nil {
		t.Fatal(err)
	}
	before := results(t, cache)
	if len(before) != 8 {
		t.Errorf("%d finished runs in the cache, want 8", len(before))
	}
	first := stdout.String()
	stdout.Reset()
	stderr.Reset()
	if code := run(args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	if stdout.String() != first {
		t.Errorf("the second time printed\n%s\nthe first\n%s", &stdout, first)
	}
	if n := strings.Count(stderr.String(), "from the cache"); n != 8 {
		t.Errorf("%d runs came from the cache, want 8:\n%s", n, &stderr)
	}
	if again, err := os.ReadFile(filepath.Join(docs, "tiny.md")); err != nil || string(again) != string(md)+thoughts {
		t.Errorf("the analysis was not kept as it was: %v\n%s", err, again)
	}
}

// A program that is killed leaves whole results, and goes on from them.
func TestKillAndGoOn(t *testing.T) {
	claim := writeTiny(t, "steps = 4", "steps = 60", "seeds = 2", "seeds = 3")
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	args := []string{claim, "--json", "--jobs", "1", "--cache", cache, "--docs", filepath.Join(dir, "docs")}
	cmd := program(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(results(t, cache)) < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatal("no three runs in a minute")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	before := results(t, cache)
	if len(before) >= 10 {
		t.Fatalf("all runs were finished before the kill")
	}
	var stdout, stderr bytes.Buffer
	again := program(t, args...)
	again.Stdout, again.Stderr = &stdout, &stderr
	if err := again.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	after := results(t, cache)
	for path, when := range before {
		if !after[path].Equal(when) {
			t.Errorf("%s was made again", filepath.Base(path))
		}
	}
	if n := strings.Count(stderr.String(), "from the cache"); n != len(before) || len(after) != 10 {
		t.Errorf("%d of 10 runs came from the cache, %d are there; want %d and 10\n%s", n, len(after), len(before), &stderr)
	}
	// The worker of the killed program saw its input end and cleaned up.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(cache, "run-*"))
		if err != nil || len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("folders of runs are left: %v", left)
		}
	}
}

// Threads change no loss, so side by side and one after the other are the same claim.
func TestJobsChangeNothing(t *testing.T) {
	claim := writeTiny(t)
	var outputs []string
	for _, jobs := range []string{"1", "3"} {
		dir := t.TempDir()
		var stdout, stderr bytes.Buffer
		if code := run([]string{claim, "--json", "--jobs", jobs, "--cache", dir, "--docs", dir}, &stdout, &stderr); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, &stderr)
		}
		var d document
		if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(d.Measured)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, string(text))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("--jobs 1 measured\n%s\n--jobs 3\n%s", outputs[0], outputs[1])
	}
}

// --quick trains for real, prints, and writes no document.
func TestQuick(t *testing.T) {
	docs := filepath.Join(t.TempDir(), "docs")
	var stdout, stderr bytes.Buffer
	if code := run([]string{writeTiny(t), "--quick", "--docs", docs}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	if !strings.Contains(stdout.String(), "the numbers and the verdict mean nothing") {
		t.Errorf("printed\n%s", &stdout)
	}
	if _, err := os.Stat(docs); !os.IsNotExist(err) {
		t.Errorf("%s: %v; want no folder of documents", docs, err)
	}
}

// A run whose loss leaves the numbers is a result, not a failure of the program.
func TestDivergedRun(t *testing.T) {
	claim := writeTiny(t, "[1e-3, 1e-2]", "[1e-3, 1e30]", "steps = 4", "steps = 8\ngrad_clip = 0")
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--json", "--cache", dir, "--docs", dir}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	var d document
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	for _, a := range d.PerSeed {
		if a.LearningRate != 1e-3 || a.Tuning[1].Loss != nil {
			t.Errorf("arm %s chose %g of %+v; want 0.001, because 1e30 diverges", a.Arm, a.LearningRate, a.Tuning)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown claim", []string{"sltrain-qualty"}, "no claim"},
		{"an unknown flag", []string{"--quik"}, "unknown flag"},
		{"no jobs", []string{"--jobs", "0"}, "--jobs"},
		{"a file that is not there", []string{"nothing.toml"}, "nothing.toml"},
		{"a bad claim", []string{writeTiny(t, "seeds = 2", "seeds = 0")}, "want at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(c.args, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, want %d; stdout %q, stderr %q, want %q", code, exitUsage, &stdout, &stderr, c.want)
			}
		})
	}
}

// A full run of a claim that git does not have as it is, is refused.
func TestUncommittedClaim(t *testing.T) {
	claim := writeTiny(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", filepath.Dir(claim), "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("needs git: %v\n%s", err, out)
		}
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "empty")
	if provenance.Committed(claim) {
		t.Error("a file that git does not know counts as committed")
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--cache", t.TempDir(), "--docs", t.TempDir()}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "not committed") {
		t.Errorf("exit code %d, want %d; %s", code, exitUsage, &stderr)
	}
	git("add", "tiny.toml")
	git("commit", "-q", "-m", "claim")
	if !provenance.Committed(claim) {
		t.Error("a committed file counts as uncommitted")
	}
	if err := os.WriteFile(claim, []byte(tiny+"# later\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if provenance.Committed(claim) {
		t.Error("a changed file counts as committed")
	}
}
