package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// tinySweep is a claim about cost that is measured in a second.
const tinySweep = `
title = "t"
statement = "s"
paper = "p"
[sweep]
measure = "decode"
sizes = [4, 8]
batches = [1, 3]
rounds = 2
vocab_size = 11
[run.model]
d_model = 8
n_layer = 1
[run.model.attention]
n_head = 2
[quick]
sizes = [2, 3]
[[arm]]
name = "mha"
[[arm]]
name = "mqa"
set = ['model.attention.kind="mqa"']
[[sweep.expect]]
measure = "ratio"
of = "seconds"
arm = "mqa"
than = "mha"
at = 8
batch = 3
at_most = 1000.0
[[sweep.expect]]
measure = "exponent"
of = "seconds"
arm = "mqa"
batch = 1
[[sweep.expect]]
measure = "roofline"
arm = "mha"
at = 4
batch = 1
`

func writeSweep(t *testing.T, replace ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "costs.toml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(tinySweep)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// measured makes a point from each round's seconds of the arms a and b.
func measured(size int, a, b []float64) Point {
	p := Point{Size: size, Batch: 2, measure: "decode", Arms: []ArmPoint{
		{Arm: "a", Seconds: a, Memory: 100 * size, Bytes: 60, FLOPs: 1000}, {Arm: "b", Seconds: b, Bytes: 10, FLOPs: 3000}}}
	for range a {
		p.Bandwidth, p.Peak = append(p.Bandwidth, 10), append(p.Peak, 1000)
	}
	return p
}

func TestSweepMeasures(t *testing.T) {
	// a is quadratic but for a factor a round, b linear and twice as fast at 8.
	points := []Point{
		measured(4, []float64{12, 24, 12}, []float64{12, 24, 6}),
		measured(8, []float64{48, 96, 48}, []float64{24, 48, 12}),
		measured(16, []float64{192, 384, 192}, []float64{48, 96, 24}),
	}
	at := func(x float64) Bound { return Bound{AtLeast: bound(x)} }
	most := func(x float64) Bound { return Bound{AtMost: bound(x)} }
	for _, c := range []struct {
		name    string
		e       SweepExpect
		value   float64
		verdict Verdict
	}{
		{"exponent of a quadratic time", SweepExpect{Measure: "exponent", Of: "seconds", Arm: "a", Bound: most(2.1)}, 2, Holds},
		{"exponent too large", SweepExpect{Measure: "exponent", Of: "seconds", Arm: "a", Bound: most(1.1)}, 2, Fails},
		{"exponent of a linear time", SweepExpect{Measure: "exponent", Of: "seconds", Arm: "b", Batch: 2, Bound: most(1.1)}, 1, Holds},
		{"exponent of memory", SweepExpect{Measure: "exponent", Of: "memory", Arm: "a"}, 1, Reported},
		{"ratio of seconds", SweepExpect{Measure: "ratio", Of: "seconds", Arm: "b", Than: "a", At: 8, Bound: most(0.6)}, 0.5, Holds},
		{"ratio of speeds", SweepExpect{Measure: "ratio", Of: "tokens_per_second", Arm: "b", Than: "a", At: 16, Bound: at(4)}, 4, Holds},
		{"bound by memory", SweepExpect{Measure: "roofline", Arm: "a", At: 4, Bound: at(0.7)}, 0.5, Fails},
		{"bound by arithmetic", SweepExpect{Measure: "roofline", Arm: "b", At: 8, Bound: at(0.7)}, 3. / 24, Fails},
	} {
		f := c.e.Evaluate(points)
		if f.Value == nil || !near(*f.Value, c.value) || f.Verdict != c.verdict {
			t.Errorf("%s: %v, %s; want %v, %s", c.name, number(f.Value, "%v"), f.Verdict, c.value, c.verdict)
		}
	}
	f := SweepExpect{Measure: "exponent", Of: "memory", Arm: "b", Bound: most(1)}.Evaluate(points)
	if f.Value != nil || f.Verdict != Inconclusive || !strings.Contains(f.Reason, "memory at 4 is not known") {
		t.Errorf("memory that nobody knows: %+v", f)
	}
	// The first size is slow: all of them give 0, those from 8 on 1.
	bent := []Point{measured(4, []float64{4, 4}, []float64{1, 1}), measured(8, []float64{2, 2}, []float64{1, 1}), measured(16, []float64{4, 4}, []float64{1, 1})}
	for from, want := range map[int]float64{0: 0, 8: 1} {
		e := SweepExpect{Measure: "exponent", Of: "seconds", Arm: "a", From: from}
		if f := e.Evaluate(bent); f.Value == nil || math.Abs(*f.Value-want) > relative || strings.Contains(f.Expect, "from 8 on") != (from == 8) {
			t.Errorf("%s: %s, want %v", f.Expect, number(f.Value, "%v"), want)
		}
	}
	// Rounds that disagree, and a single one, decide nothing.
	wild := []Point{measured(4, []float64{1, 1, 1, 1}, []float64{0.3, 0.6, 1.2, 2.4})}
	e := SweepExpect{Measure: "ratio", Of: "seconds", Arm: "b", Than: "a", At: 4, Bound: most(1)}
	if f := e.Evaluate(wild); f.Verdict != Inconclusive || !near(*f.Value, 0.9) {
		t.Errorf("rounds that disagree: %s, %v; want inconclusive, 0.9", f.Verdict, *f.Value)
	}
	if f := e.Evaluate([]Point{measured(4, []float64{1}, []float64{0.1})}); f.Verdict != Inconclusive || f.Error != nil {
		t.Errorf("one round: %+v, want inconclusive without an error", f)
	}
}

func TestMedianOf(t *testing.T) {
	value, spread := medianOf([]float64{5, 1, 2, 4, 100})
	// The deviations from 4 are 1, 3, 2, 0, 96: their median is 2.
	if want := math.Sqrt(math.Pi/2/5) * 1.4826 * 2; value != 4 || !near(spread, want) {
		t.Errorf("medianOf = %v ± %v, want 4 ± %v", value, spread, want)
	}
}

func TestBadSweeps(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown measure", `measure = "decode"`, `measure = "dance"`, "is unknown; want one of decode, forward, step, attention"},
		{"no sizes", "sizes = [4, 8]", "sizes = []", "wants different numbers"},
		{"a size twice", "sizes = [4, 8]", "sizes = [8, 8]", "wants different numbers"},
		{"sizes that shrink", "sizes = [4, 8]", "sizes = [8, 4]", "wants them to grow"},
		{"a batch of none", "batches = [1, 3]", "batches = [0, 3]", "wants different numbers"},
		{"no rounds", "rounds = 2", "rounds = 0", "is too small"},
		{"a size that is not measured", "at = 8", "at = 7", "is none of the sizes"},
		{"a batch that is not measured", "batch = 3", "batch = 2", "is none of the batches"},
		{"no batch of two", "batch = 3", "", "is missing; want one of [1 3]"},
		{"an exponent from nowhere", `measure = "exponent"`, "measure = \"exponent\"\nfrom = 5", "is none of the sizes before the last"},
		{"an exponent from the last size", `measure = "exponent"`, "measure = \"exponent\"\nfrom = 8", "is none of the sizes before the last"},
		{"a ratio from a size", `measure = "ratio"`, "measure = \"ratio\"\nfrom = 4", "is for exponent only"},
		{"an exponent of one size", "sizes = [4, 8]", "sizes = [4]", "wants at least two sizes"},
		{"an exponent at a size", `measure = "exponent"`, "measure = \"exponent\"\nat = 4", "has no meaning for exponent"},
		{"a roofline of what is not counted", `measure = "decode"`, `measure = "step"`, "is known of decode only"},
		{"a roofline of something", `measure = "roofline"`, "measure = \"roofline\"\nof = \"seconds\"", "has no meaning for roofline"},
		{"an unknown metric", `of = "seconds"`, `of = "minutes"`, "is unknown; want one of seconds"},
		{"a ratio to nothing", `than = "mha"`, "", "is for ratio, which wants an arm"},
		{"an unknown arm", `than = "mha"`, `than = "mfa"`, "is none of the arms"},
		{"two bounds", "at_most = 1000.0", "at_most = 1000.0\nat_least = 2.0", "want one bound"},
		{"quick sizes that do not match", "sizes = [2, 3]", "sizes = [2]", "wants as many as [sweep] sizes, 2"},
		{"learning rates", `paper = "p"`, "paper = \"p\"\nlearning_rates = [0.1]", "which trains nothing"},
		{"the attention of a decoder alone", `measure = "decode"`, `measure = "attention"`, "wants lama or encoder or favit"},
		{"decoding of no decoder", `'model.attention.kind="mqa"'`, `'model={kind="encoder", d_model=8, attention={n_head=2}}'`, "wants decoder"},
		{"an unknown measure of an arm", `name = "mqa"`, "name = \"mqa\"\nmeasure = \"dance\"", "is unknown; want one of decode"},
		{"overrides of one size", `name = "mqa"`, "name = \"mqa\"\nat = [[]]", "has 1 lists of overrides; want 2"},
		{"an override that cannot be at a size", `name = "mqa"`, "name = \"mqa\"\nat = [[], ['model.n_layer=x']]", "does not apply to [run] at 8"},
		{"an arm that cannot be", `"mqa"'`, `"mqb"'`, "does not apply to [run]"},
	} {
		_, err := Load(writeSweep(t, c.old, c.new))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "costs.toml:") {
			t.Errorf("%s: %v\nwant an error with its file and %q", c.name, err, c.want)
		}
	}
	if _, err := Load(writeTiny(t, "[[arm]]", "[[arm]]\nmeasure = \"step\"")); err == nil || !strings.Contains(err.Error(), "has no meaning without [sweep]") {
		t.Errorf("a measure without a sweep: %v", err)
	}
	if _, err := Load(writeTiny(t, "[quick]", "[quick]\nsizes = [3]")); err == nil || !strings.Contains(err.Error(), "has no meaning without [sweep]") {
		t.Errorf("quick sizes without a sweep: %v", err)
	}
}

// A whole sweep: documents, a figure, and all from the cache the second time.
func TestWholeSweep(t *testing.T) {
	claim, dir := writeSweep(t), t.TempDir()
	docs := filepath.Join(dir, "docs")
	args := []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs}
	d, first, _ := runWhole(t, args)
	if d.Verdict != Holds || len(d.Points) != 4 || len(d.Measured) != 3 || len(d.Expected) != 3 {
		t.Fatalf("verdict %s, %d points, %d findings of %d; want holds, 4, 3 of 3", d.Verdict, len(d.Points), len(d.Measured), len(d.Expected))
	}
	for i, p := range d.Points {
		if wantSize, wantBatch := []int{4, 8}[i%2], []int{1, 3}[i/2]; p.Size != wantSize || p.Batch != wantBatch || p.Threads < 1 {
			t.Errorf("point %d is at size %d, batch %d, with %d threads; want %d, %d, 1 or more", i, p.Size, p.Batch, p.Threads, wantSize, wantBatch)
		}
		for _, a := range p.Arms {
			for _, s := range a.Seconds {
				if !(s > 0) {
					t.Errorf("point %d, %s: a time of %v", i, a.Arm, s)
				}
			}
			if len(a.Seconds) != 2 || len(p.Bandwidth) != 2 || !(a.Bytes > 0 && a.FLOPs > 0) || a.Parameters < 500 {
				t.Errorf("point %d: %+v", i, a)
			}
		}
	}
	md, err := os.ReadFile(filepath.Join(docs, "costs.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"**Verdict: holds.**", "Tokens a second, batch 3:", "Share of the roofline, batch 1:", "| network | parameters | 4 | 8 |", "![t](costs.svg)", "GB/s", d.ConfigSHA256[:12]} {
		if !strings.Contains(string(md), want) {
			t.Errorf("costs.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "costs.svg")); err != nil || !bytes.Contains(svg, []byte("tokens a second")) || !bytes.Contains(svg, []byte("batch 3")) {
		t.Errorf("costs.svg: %v, %d bytes; want a figure of speeds with a legend", err, len(svg))
	}
	runAgain(t, args, first, 4)
}

// --quick measures the small sizes and writes no document.
func TestQuickSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("its claims run whole")
	}
	for _, measure := range sweepMeasures {
		replace := []string{`measure = "decode"`, `measure = "` + measure + `"`}
		if measure == "attention" {
			replace = append(replace, "d_model = 8\nn_layer = 1\n[run.model.attention]\nn_head = 2", `kind = "encoder"`+"\nd_model = 8\nn_layer = 1\n[run.model.attention]\nn_head = 2",
				`'model.attention.kind="mqa"'`, `'data.source="imdb"', 'model={kind="lama", lama={hidden=4}}'`)
		}
		if measure != "decode" { // nothing is known of their roofline
			replace = append(replace, "measure = \"roofline\"\narm = \"mha\"", "measure = \"ratio\"\nof = \"memory\"\nthan = \"mqa\"\narm = \"mha\"")
		}
		docs := filepath.Join(t.TempDir(), "docs")
		var stdout, stderr bytes.Buffer
		if code := run([]string{writeSweep(t, replace...), "--quick", "--docs", docs}, &stdout, &stderr); code != exitOK {
			t.Fatalf("%s: exit code %d\n%s", measure, code, &stderr)
		}
		if !strings.Contains(stdout.String(), "the numbers and the verdict mean nothing") || !strings.Contains(stdout.String(), "over that of mha at 3 with batch 3") {
			t.Errorf("%s: printed\n%s", measure, &stdout)
		}
		if _, err := os.Stat(docs); !os.IsNotExist(err) {
			t.Errorf("%s: %s: %v; want no folder of documents", measure, docs, err)
		}
	}
}

// An arm that cannot be built ends the program with its name.
func TestSweepOfImpossibleArm(t *testing.T) {
	claim := writeSweep(t, `kind="mqa"'`, `kind="mqa"', 'model.linear=[{match="no.such.layer", kind="low_rank", rank=2}]'`)
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--quick"}, &stdout, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "mqa at size 2, batch 1: ") {
		t.Errorf("exit code %d, want %d\n%s", code, exitFailed, &stderr)
	}
}

func TestSweepWorkerRefuses(t *testing.T) {
	var out bytes.Buffer
	if code := sweepWork(strings.NewReader(`{"repeat": 1}`+"\n"+`{"config": "[model]\nd_modle = 3"}`+"\n"), &out); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
	for i, want := range []string{"nothing to time", "did you mean"} {
		if line := strings.Split(out.String(), "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("answer %d is %s, want %q in it", i, line, want)
		}
	}
}

// What decoding must read and compute, counted by hand: d = 8, two heads of 4, d_ff = 24, 11 tokens.
func TestDecodeWork(t *testing.T) {
	cfg := recipe.Default()
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 8, 1, 24, 2 })
	for _, c := range []struct {
		name         string
		tied         bool
		bytes, flops float64
	}{
		// Matrices of attention 4 x 64, of the MLP 3 x 192, three norms of 8, a head of 88, 2 rows of the embedding;
		// 2 sequences of 6 tokens with 16 values each.
		{"untied", false, 4 * (256 + 576 + 24 + 88 + 16 + 2*6*16), 2 * (4*8*6 + 2*256 + 2*576 + 2*88)},
		{"tied", true, 4 * (256 + 576 + 24 + 88 + 2*6*16), 2 * (4*8*6 + 2*256 + 2*576 + 2*88)},
	} {
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.Tied = c.tied })
		text, err := configs.Encode(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSubject(sweepRequest{Config: string(text), Measure: "decode", Size: 5, Batch: 2, VocabSize: 11})
		if err != nil || s.bytes != c.bytes || s.flops != c.flops {
			t.Errorf("%s: %v bytes, %v FLOPs (%v), want %v and %v", c.name, s.bytes, s.flops, err, c.bytes, c.flops)
		}
	}
}

// The arms that mfa-decode compares have equally many parameters, within 1%.
func TestMFADecodeParameters(t *testing.T) {
	c, err := Load("mfa-decode.toml")
	if err != nil {
		t.Fatal(err)
	}
	first := 0
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		n := parameters(t, cfg, c.Sweep.VocabSize)
		if i == 0 {
			first = n
		}
		if math.Abs(float64(n)/float64(first)-1) > 0.01 {
			t.Errorf("%s has %d parameters, %s %d: want equally many within 1%%", a.Name, n, c.Arms[0].Name, first)
		}
	}
}

// The attention alone has the parameters of its formula, gradients of everything,
// and the sizes that lama-cost says.
func TestAttentionSubjects(t *testing.T) {
	c, err := Load("lama-cost.toml")
	if err != nil {
		t.Fatal(err)
	}
	const d, m, a = 128, 10, 350
	want := map[string]int{"lama": 2*d*m + d*d + d + d, "structured": a*d + m*a, "mha": 4*d*d + 4*d}
	if len(c.Arms) != len(want) {
		t.Fatalf("%d arms, want %d", len(c.Arms), len(want))
	}
	for i, arm := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newAttention(cfg.Model, 2, 5)
		if err != nil || s.parameters != want[arm.Name] {
			t.Errorf("%s: %d parameters (%v), want %d", arm.Name, s.parameters, err, want[arm.Name])
			continue
		}
		if err := s.run(); err != nil {
			t.Errorf("%s: %v", arm.Name, err)
		}
	}
	if _, err := newAttention(recipe.Default().Model, 1, 1); err == nil {
		t.Error("the attention of a decoder alone was built")
	}
}
