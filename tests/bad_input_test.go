package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
)

// clean fails if a command that went wrong said so in another way than by
// messages: a goroutine trace, results, half a sentence about an internal.
func (o outcome) clean(t *testing.T) {
	t.Helper()
	if regexp.MustCompile(`(?m)^(goroutine |panic:|fatal error:|runtime: )`).MatchString(o.stderr) {
		t.Errorf("a trace instead of a message:\n%.2000s", o.stderr)
	}
	if strings.TrimSpace(o.stderr) == "" {
		t.Error("no message on standard error")
	}
	if o.stdout != "" {
		t.Errorf("results on standard output: %.300s", o.stdout)
	}
}

// TestRefusedConfigs: what cannot start exits with 2, says where, what and what
// was wanted, and creates nothing.
func TestRefusedConfigs(t *testing.T) {
	big := "the run needs .*[GT]B of memory and this machine has .*\n(.*\n)*.*activations"
	for _, c := range []struct {
		name string
		from string   // replaced in tiny.toml
		to   string   // by this
		args []string // more arguments
		want []string // patterns, one for each line of the error that matters, in order
	}{
		{"typo", "d_model = 16", "d_modle = 16", nil, []string{`^bad\.toml:10: unknown key "d_modle" in \[model\] of kind = "decoder"; did you mean "d_model"\?$`}},
		{"unknown table", "[eval]", "[evil]", nil, []string{`^bad\.toml:\d+: unknown .*"evil".*did you mean "eval"\?$`}},
		{"no TOML", "seq_len = 16", "seq_len = = 16", nil, []string{`^bad\.toml:7: invalid TOML`}},
		{"wrong type", "steps = 6", `steps = "six"`, nil, []string{`^bad\.toml:17: \[train\] steps = "six" is a string; want an integer$`}},
		{"fraction", "batch_size = 2", "batch_size = 2.5", nil, []string{`^bad\.toml:18: \[train\] batch_size = 2\.5 .*want an integer`}},
		{"negative size", "d_model = 16", "d_model = -16", nil, []string{`^bad\.toml:10: \[model\] d_model = -16 .*want at least 1$`}},
		{"zero steps", "steps = 6", "steps = 0", nil, []string{`^bad\.toml:17: \[train\] steps = 0 is too small; want at least 1$`}},
		{"heads do not divide", "n_head = 2", "n_head = 3", nil, []string{`^bad\.toml:14: \[model\.attention\] n_head = 3 .*does not divide \[model\] d_model = 16$`}},
		{"odd heads", "n_head = 2", "n_head = 16", nil, []string{`^bad\.toml:14: .*width 1; rotary positions need an even width$`}},
		{"groups", "n_head = 2", "n_head = 4\nkind = \"gqa\"\nn_kv_head = 3", nil, []string{`^bad\.toml:16: \[model\.attention\] n_kv_head = 3 .*does not divide n_head = 4$`}},
		{"several at once", "d_model = 16\nn_layer = 1", "d_modle = 16\nn_layer = -1", []string{"--set", "train.learning_rate=0"}, []string{
			`^bad\.toml:10: unknown key "d_modle"`, `^bad\.toml:11: \[model\] n_layer = -1 `, `^--set train\.learning_rate=0: \[train\] learning_rate = 0\.0 is out of range; want a finite number above 0$`}},
		{"schedule", "warmup_steps = 2", "warmup_steps = 7\nschedule = \"cosin\"", nil, []string{
			`^bad\.toml:20: \[train\] warmup_steps = 7 is out of range; want 0 to steps = 6$`, `^bad\.toml:21: \[train\] schedule = "cosin" is unknown; want one of constant, linear, cosine, wsd$`}},
		{"decay without wsd", "warmup_steps = 2", "decay_steps = 2", nil, []string{`^bad\.toml:20: \[train\] decay_steps = 2 is for schedule = "wsd" only`}},
		{"name of a path", `name = "tiny"`, `name = "../tiny"`, nil, []string{`^bad\.toml:1: name = "\.\./tiny" is no name for the run's folder`}},
		{"unknown kind", "d_ff = 24", "kind = \"rnn\"", nil, []string{`^bad\.toml:12: \[model\] kind = "rnn" .*want`}},
		{"unknown source", `source = "text"`, `source = "web"`, nil, []string{`^bad\.toml:5: \[data\] source = "web" is unknown; want one of`}},
		{"no corpus file", "corpus.txt", "missing.txt", nil, []string{`^train: cannot start: data: paths\[0\]: "missing\.txt" does not exist$`}},
		{"no match", "corpus.txt", "*.text", nil, []string{`no file matches "\*\.text"`}},
		{"empty corpus", "corpus.txt", "empty.txt", nil, []string{`corpus is empty$`}},
		{"short corpus", "seq_len = 16", "seq_len = 100000", nil, []string{`training split of \d+ tokens is shorter than one window of seq_len \+ 1 = 100001 tokens`}},
		{"not UTF-8", "corpus.txt\"]", "binary.dat\"]\ntokenizer = \"char\"", nil, []string{`binary\.dat`}},
		{"corpus is a folder", "corpus.txt", "folder", nil, []string{`"folder" is a folder, want a file or a glob`}},
		{"too wide", "d_model = 16", "d_model = 65536", []string{"--set", "model.n_layer=80"}, []string{big}},
		{"far too wide", "d_model = 16", "d_model = 1000000000000", nil, []string{big}},
		{"far too deep", "n_layer = 1", "n_layer = 1000000000000", nil, []string{`^bad\.toml:11: \[model\] n_layer = 1000000000000 is too large; want at most \d+$`}},
		{"far too large batch", "batch_size = 2", "batch_size = 1000000000000", nil, []string{big}},
		{"far too large context", "d_ff = 24", "context = 1000000000000", nil, []string{big}},
		{"far too long sample", "", "", []string{"-c", "tiny.toml", "--set", `sample.prompt="x"`, "--set", "sample.tokens=10000000000000"}, []string{`^train: cannot start: \[sample\] tokens = 10000000000000: the key/value cache needs .*B and this machine has `}},
		{"longest sample", "", "", []string{"-c", "tiny.toml", "--set", `sample.prompt="x"`, "--set", "sample.tokens=9000000000000000000"}, []string{`^train: cannot start: \[sample\] tokens = 9000000000000000000: the key/value cache needs .*B and this machine has `}},
		{"far too long sample, planned", "", "", []string{"-c", "tiny.toml", "--set", `sample.prompt="x"`, "--set", "sample.tokens=10000000000000", "--dry-run"}, []string{`^train: cannot start: \[sample\] tokens = 10000000000000: the key/value cache needs .*B and this machine has `}},
		{"infinite temperature", "", "", []string{"-c", "tiny.toml", "--set", "sample.temperature=inf"}, []string{`\[sample\] temperature = .*inf is not a finite float64`}},
		{"no config", "", "", []string{"-c", "nope.toml"}, []string{`^nope\.toml: no such file$`}},
		{"config is a folder", "", "", []string{"-c", "folder"}, []string{`^folder: is a folder; want a TOML file$`}},
		{"folder below a file", "", "", []string{"-o", "corpus.txt/out"}, []string{`corpus\.txt/out: not a directory`}},
		{"folder is a file", "", "", []string{"-o", "corpus.txt"}, []string{`corpus\.txt: not a directory`}},
		{"folder without a place", "", "", []string{"-o", "/dev/null/out"}, []string{`/dev/null/out: not a directory`}},
		{"no tokenizer file", "[model]", "tokenizer = \"nope.json\"\n[model]", nil, []string{`nope\.json`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := workplace(t)
			write(t, dir, "empty.txt", "")
			write(t, dir, "binary.dat", strings.Repeat("\xff\xfe\x00line\n", 400))
			write(t, dir, "folder/readme", "")
			if !strings.Contains(tinyConfig, c.from) {
				t.Fatalf("tiny.toml has no %q", c.from)
			}
			write(t, dir, "bad.toml", strings.Replace(tinyConfig, c.from, c.to, 1))
			before, err := contents(dir)
			if err != nil {
				t.Fatal(err)
			}
			o := run(t, dir, "train", append([]string{"run", "-c", "bad.toml"}, c.args...)...)
			if o.code != 2 {
				t.Errorf("exit code %d, want 2", o.code)
			}
			o.clean(t)
			at := 0
			for _, want := range c.want {
				m := regexp.MustCompile("(?m)" + want).FindStringIndex(o.stderr[at:])
				if m == nil {
					t.Fatalf("standard error lacks %s:\n%s", want, o.stderr)
				}
				at += m[1]
			}
			after, err := contents(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := difference(before, after); len(d) > 0 {
				t.Errorf("it created or changed %v", d)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoint: one flipped bit or a missing end, in any file of a
// checkpoint, is found by every command that reads the file, which names it, and
// an older checkpoint to use; nothing is written.
func TestDamagedCheckpoint(t *testing.T) {
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out")
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "long", "--set", "train.steps=8")
	newest := filepath.Join(dir, "out", "checkpoints", "step-000006")
	resume := []string{"train", "resume", "out", "--set", "train.steps=8"}
	eval := []string{"model", "eval", "out/checkpoints/step-000006"}
	generate := []string{"model", "generate", "out/checkpoints/step-000006", "--prompt", "func"}
	for _, c := range []struct {
		file    string
		flipped [][]string // commands that must find a flipped bit
	}{
		{"model.npz", [][]string{resume, eval, generate}},
		{"optimizer.npz", [][]string{resume}},
		{"state.json", [][]string{resume}},
		{"config.toml", [][]string{eval, generate}},
		{"tokenizer.json", [][]string{resume, eval, generate}},
		{"manifest.json", [][]string{eval, generate}},
	} {
		path := filepath.Join(newest, c.file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := slices.Clone(whole)
		flipped[len(flipped)/2] ^= 4
		for _, damage := range []struct {
			name     string
			bytes    []byte
			commands [][]string
		}{{"flipped bit", flipped, c.flipped}, {"truncated", whole[:len(whole)*2/3], [][]string{eval, generate}}} {
			if err := os.WriteFile(path, damage.bytes, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range damage.commands {
				t.Run(c.file+"/"+damage.name+"/"+args[1], func(t *testing.T) {
					before, err := contents(dir)
					if err != nil {
						t.Fatal(err)
					}
					o := run(t, dir, args[0], args[1:]...)
					if o.code != 1 {
						t.Errorf("exit code %d, want 1", o.code)
					}
					o.clean(t)
					if !strings.Contains(o.stderr, c.file) || !strings.Contains(o.stderr, "step-000004") {
						t.Errorf("the message names neither %s nor an older checkpoint:\n%s", c.file, o.stderr)
					}
					after, err := contents(dir)
					if err != nil {
						t.Fatal(err)
					}
					if d := difference(before, after); len(d) > 0 {
						t.Errorf("it created or changed %v", d)
					}
				})
			}
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// An incomplete newest folder does not stop a run: it continues from the one
	// before, and says so.
	if err := os.Remove(filepath.Join(newest, "optimizer.npz")); err != nil {
		t.Fatal(err)
	}
	o := mustRun(t, dir, "train", resume[1:]...)
	if !strings.Contains(o.stderr, "continuing out at step 4 of 8") {
		t.Errorf("want a run that continues at step 4:\n%s", o.stderr)
	}
	if !strings.Contains(o.stderr, "warning: out/checkpoints/step-000006 is damaged: ") || !strings.Contains(o.stderr, "; going by out/checkpoints/step-000004\n") {
		t.Errorf("want a warning that names both checkpoints:\n%s", o.stderr)
	}
	if _, err := os.Stat(filepath.Join(newest+".damaged", "model.npz")); err != nil {
		t.Error(err)
	}
}

// TestAnotherModel: a checkpoint that belongs to another network is refused with
// every weight that does not fit, and stays as it is.
func TestAnotherModel(t *testing.T) {
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out")
	before, err := contents(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := run(t, dir, "train", "resume", "out", "--set", "train.steps=8", "--set", "model.d_model=32")
	if o.code != 2 {
		t.Errorf("exit code %d, want 2", o.code)
	}
	o.clean(t)
	if want := `mismatch: "model.norm.weight": the file has float32 [16], want float32 [32]`; !strings.Contains(o.stderr, want) {
		t.Errorf("the message lacks %s:\n%s", want, o.stderr)
	}
	after, err := contents(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := difference(before, after); len(d) > 0 {
		t.Errorf("it created or changed %v", d)
	}
}

// TestDivergence: a loss that is no number ends the run with the step, the
// parameter and advice that works; the last checkpoint is sound.
func TestDivergence(t *testing.T) {
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out", "--set", "train.steps=4")
	o := run(t, dir, "train", "resume", "out", "--set", "train.steps=20", "--set", "train.learning_rate=1e30", "--set", "train.grad_clip=0.0")
	if o.code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", o.code, o.stderr)
	}
	o.clean(t)
	m := regexp.MustCompile(`(?m)^train: step (\d+): the (loss|gradient) is (NaN|[+-]Inf) \(first in the gradient of [a-z0-9_.]+\); nothing was updated\. ` +
		`Try a lower learning_rate, .*; the last good state is (out/checkpoints/step-\d+), continue it by: (train resume out --set train\.learning_rate=1e\+29)$`).FindStringSubmatch(o.stderr)
	if m == nil {
		t.Fatalf("want a message with step, parameter, checkpoint and command:\n%s", o.stderr)
	}
	mustRun(t, dir, "model", "eval", "out/checkpoints/step-000004")
	if _, err := os.Stat(filepath.Join(dir, "out", "loss.svg")); err != nil {
		t.Error(err)
	}
	mustRun(t, dir, "train", "resume", "out", "--set", "train.steps=6", "--set", "train.learning_rate=1e-3", "--set", "train.grad_clip=1.0")

	// Before the first checkpoint the advice is to start again.
	o = run(t, dir, "train", "run", "-c", "tiny.toml", "-o", "new", "--set", "train.learning_rate=1e30", "--set", "train.warmup_steps=0",
		"--set", "eval.every=0", "--set", "checkpoint.every=0")
	if o.code != 1 || !strings.Contains(o.stderr, "There is no checkpoint yet: start again with --force") {
		t.Errorf("exit code %d, want 1 and the advice to start again:\n%s", o.code, o.stderr)
	}
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "new", "--force")
}

// TestUnwritableFolder: a folder that takes no file is one clear error.
func TestUnwritableFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions of folders differ on Windows")
	}
	dir := workplace(t)
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o555); err != nil {
		t.Fatal(err)
	}
	parent := locked
	if os.Geteuid() == 0 {
		parent = "/proc/self" // permissions do not stop root; /proc does
	}
	for _, out := range []string{parent + "/out", parent + "/a/b/out"} {
		o := run(t, dir, "train", "run", "-c", "tiny.toml", "-o", out)
		if o.code != 2 {
			t.Errorf("-o %s: exit code %d, want 2", out, o.code)
		}
		o.clean(t)
		if !strings.Contains(o.stderr, parent) {
			t.Errorf("the message does not name %s:\n%s", parent, o.stderr)
		}
	}
}

// TestDamagedRecords: metrics of another form end a resume before it trains.
func TestDamagedRecords(t *testing.T) {
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out")
	write(t, dir, "out/metrics.csv", "what,is,this\n1,2,3\n")
	o := run(t, dir, "train", "resume", "out", "--set", "train.steps=8")
	if o.code != 1 || !strings.Contains(o.stderr, `out/metrics.csv:1: the header is "what,is,this"`) {
		t.Errorf("exit code %d, want 1 and the line:\n%s", o.code, o.stderr)
	}
	all, err := checkpoints.List(filepath.Join(dir, "out"))
	if err != nil || len(all) == 0 || filepath.Base(all[len(all)-1]) != "step-000006" {
		t.Errorf("checkpoints %v, want step-000006 as the newest (%v)", all, err)
	}
}
