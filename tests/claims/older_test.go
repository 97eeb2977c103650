package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// age makes the results of a cache those of another code and commit, after an edit of each.
func age(t *testing.T, cache string, edit func(*Result)) int {
	t.Helper()
	n := 0
	for path := range results(t, cache) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r Result
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		if r.Code == "" || r.Commit == "" {
			t.Errorf("%s tells no code or commit", path)
		}
		r.Code, r.Commit = "older", "0123456789abcdef"
		edit(&r)
		if text, err = json.Marshal(r); err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestOlderResults: results of older code count where one run an arm, made again, has its loss within 1e-6; the page names
// commits and runs. Where one differs, every run is made again.
func TestOlderResults(t *testing.T) {
	claim, dir := writeTiny(t), t.TempDir()
	cache := filepath.Join(dir, "cache")
	args := []string{claim, "--json", "--cache", cache, "--docs", filepath.Join(dir, "docs")}
	d, _, _ := runWhole(t, args)
	os.RemoveAll(filepath.Join(dir, "docs"))
	if n := age(t, cache, func(r *Result) { r.Loss += 5e-7 }); n != 8 {
		t.Fatalf("%d results, want 8", n)
	}
	again, _, log := runWhole(t, args)
	if len(again.Repeated) != 2 || strings.Count(log, "made again, because the code has changed since commit 012345678") != 2 || strings.Count(log, "from the cache") != 8 {
		t.Errorf("%d runs were made again, want one of each of 2 arms, and all 8 to count:\n%s", len(again.Repeated), log)
	}
	md, err := os.ReadFile(filepath.Join(dir, "docs", "tiny.md"))
	if err != nil || !strings.Contains(string(md), "012345678 (4)") || !strings.Contains(string(md), "one run an arm was made again") || !strings.Contains(string(md), again.Repeated[1].Run) {
		t.Errorf("%v: the page does not tell of older results:\n%s", err, md)
	}
	age(t, cache, func(r *Result) { r.Loss += 3e-6 })
	os.RemoveAll(filepath.Join(dir, "docs"))
	last, _, log := runWhole(t, args)
	if !strings.Contains(log, "no older result counts") || strings.Count(log, "from the cache") != 2 {
		t.Errorf("older results differ, and yet more than the two that were made again count:\n%s", log)
	}
	for i, a := range last.PerSeed {
		for k, r := range a.Runs {
			if r.Loss != d.PerSeed[i].Runs[k].Loss || r.Code != d.PerSeed[i].Runs[k].Code {
				t.Errorf("%s, seed %d: loss %v by code %s, want %v by %s as at first", a.Arm, k+1, r.Loss, r.Code, d.PerSeed[i].Runs[k].Loss, d.PerSeed[i].Runs[k].Code)
			}
		}
	}
}

// TestStoredResults: a claim is judged again from its document alone, with the same findings and no run; and a run with an empty
// cache takes the stored results, by the rule for those of older code.
func TestStoredResults(t *testing.T) {
	for name, write := range map[string]func(*testing.T, ...string) string{"training": writeTiny, "compression": writeCompression} {
		t.Run(name, func(t *testing.T) {
			claim, dir := write(t), t.TempDir()
			docs := filepath.Join(dir, "docs")
			d, first, _ := runWhole(t, []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs})
			stored, text, log := runWhole(t, []string{claim, "--json", "--stored", "--cache", filepath.Join(dir, "none"), "--docs", docs})
			if text != first || strings.Contains(log, "[1/") {
				t.Errorf("judged again:\n%s\nat first:\n%s\n%s", text, first, log)
			}
			if len(stored.Measured) != len(d.Measured) {
				t.Errorf("%d findings, want %d", len(stored.Measured), len(d.Measured))
			}
			if md, err := os.ReadFile(filepath.Join(docs, "tiny.md")); err != nil || !strings.Contains(string(md), "Judged again from these stored results") {
				t.Errorf("%v: the page does not say that it was judged again:\n%s", err, md)
			}
			// Made by this very code; as if by another, one an arm is made again.
			path := filepath.Join(docs, "tiny.json")
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			code := d.PerSeed[0].Runs[0].Code
			if err := os.WriteFile(path, bytes.ReplaceAll(old, []byte(code), []byte("older")), 0o644); err != nil {
				t.Fatal(err)
			}
			adopted, _, log := runWhole(t, []string{claim, "--json", "--cache", filepath.Join(dir, "other"), "--docs", docs})
			arms := map[string]bool{}
			for _, r := range adopted.Repeated {
				arm, _, _ := strings.Cut(strings.ReplaceAll(r.Run, " with", ","), ",")
				arms[arm] = true
			}
			want := 2
			if name == "compression" {
				want = 4 // the parent and three arms
			}
			if len(arms) != want || strings.Contains(log, "no older result counts") || strings.Count(log, "from the cache") < 4 {
				t.Errorf("made again of %d arms, want %d:\n%s", len(arms), want, log)
			}
		})
	}
}

// TestPieces: a run that is cut into pieces, each in a process of its own, is the same run.
func TestPieces(t *testing.T) {
	claim := writeTiny(t)
	var found []document
	for _, piece := range []string{"20m", "1ns"} {
		dir := t.TempDir()
		d, _, log := runWhole(t, []string{claim, "--json", "--cache", dir, "--docs", filepath.Join(dir, "docs"), "--piece", piece})
		if !strings.Contains(log, "4 runs to choose learning rates, 4 of 2 seeds") {
			t.Errorf("the program does not say what it will do:\n%s", log)
		}
		found = append(found, d)
		left, err := filepath.Glob(filepath.Join(dir, "under-way", "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("folders of runs are left: %v, %v", left, err)
		}
	}
	for i, a := range found[0].PerSeed {
		for k, r := range a.Runs {
			if cut := found[1].PerSeed[i].Runs[k]; cut.Loss != r.Loss || cut.Tokens != r.Tokens || !(cut.Seconds > 0) {
				t.Errorf("%s, seed %d: loss %v of %d tokens in pieces, %v of %d whole", a.Arm, k+1, cut.Loss, cut.Tokens, r.Loss, r.Tokens)
			}
		}
	}
}

// TestDryRun: it says how many cells there are and, where stored results or the claim tell, how long they take; it makes no run. More
// than six hours are refused.
func TestDryRun(t *testing.T) {
	dry := func(claim, docs string) string {
		t.Helper()
		dir := t.TempDir()
		var stdout, stderr bytes.Buffer
		if code := run([]string{claim, "--dry-run", "--cache", dir, "--docs", docs}, &stdout, &stderr); code != exitOK || stdout.Len() > 0 {
			t.Fatalf("exit code %d\n%s", code, &stderr)
		}
		if len(results(t, dir)) > 0 {
			t.Error("a run was made")
		}
		return stderr.String()
	}
	dir := t.TempDir()
	if got := dry(writeTiny(t), dir); !strings.Contains(got, "8 cells: 4 runs to choose learning rates, 4 of 2 seeds; how long it takes is not known") {
		t.Errorf("nothing is known: %s", got)
	}
	if got := dry(writeTiny(t, "seeds = 2", "seeds = 2\nhours = 1.5"), dir); !strings.Contains(got, "about 1.5 hours on 2 cores, by what the claim says") {
		t.Errorf("by the claim: %s", got)
	}
	if got := dry(writeCompression(t), dir); !strings.Contains(got, "14 cells: 2 networks to compress, 2 to choose learning rates, 10 compressions") {
		t.Errorf("a compression: %s", got)
	}
	// 2 arms of 2 rates of 2 steps and 2 seeds of 4 steps, 24 steps: at 3,000 seconds a step 10 hours of two cores.
	text := `{"per_seed":[{"arm":"full","runs":[{"steps":4,"seconds":12000}]},{"arm":"low","runs":[{"steps":2,"seconds":6000}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "tiny.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	claim := writeTiny(t)
	if got := dry(claim, dir); !strings.Contains(got, "about 10.0 hours on 2 cores, by stored results") {
		t.Errorf("by stored results: %s", got)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--cache", t.TempDir(), "--docs", dir}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "more than the 6 hours") {
		t.Errorf("10 hours: exit code %d\n%s", code, &stderr)
	}
	if _, err := Load(writeTiny(t, "seeds = 2", "seeds = 2\nhours = 7.0")); err == nil || !strings.Contains(err.Error(), "hours") {
		t.Errorf("a claim of 7 hours: %v", err)
	}
}

// TestWiden: the next rate lies as far beyond the edge as the edge from its neighbour, and none does where the best lies within,
// where too few were asked for, or where the grid has grown enough.
func TestWiden(t *testing.T) {
	gridOf := func(rates []float64, losses ...float64) grid {
		var g grid
		for i, rate := range rates {
			r := Result{Loss: losses[i]}
			if losses[i] == 0 {
				r.Diverged = "step 3"
			}
			g.add(rate, r)
		}
		return g
	}
	three := []float64{1e-3, 3e-3, 1e-2}
	for _, c := range []struct {
		name  string
		g     grid
		asked int
		want  float64
	}{
		{"within", gridOf(three, 3, 2, 3), 3, 0},
		{"at the low edge", gridOf(three, 1, 2, 3), 3, 3.3e-4},
		{"at the high edge", gridOf(three, 3, 2, 1), 3, 3.3e-2},
		{"all diverged", gridOf(three, 0, 0, 0), 3, 3.3e-4},
		{"two", gridOf(three[:2], 1, 2), 2, 0},
		{"grown enough", gridOf([]float64{1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1}, 1, 2, 3, 4, 5, 6, 7), 3, 0},
	} {
		if got := c.g.beyond(c.asked); got != c.want {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
	claim, dir := writeTiny(t, "[1e-3, 1e-2]", "[1e-6, 1e-5, 1e-4]", "seeds = 2", "seeds = 1"), t.TempDir()
	d, _, _ := runWhole(t, []string{claim, "--json", "--cache", dir, "--docs", filepath.Join(dir, "docs")})
	for _, a := range d.PerSeed {
		if len(a.Tuning) != 7 && a.atEdge() || len(a.Tuning) < 5 || a.Tuning[3].LearningRate != 1e-3 || a.Tuning[4].LearningRate != 1e-2 {
			t.Errorf("%s: tried %+v, took %g; want rates from 1e-6 on until the best is within", a.Arm, a.Tuning, a.LearningRate)
		}
	}
}
