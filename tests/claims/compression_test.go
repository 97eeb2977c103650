package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/train/stf"
)

// tinyCompression turns writeTiny's claim into one about compression.
const tinyCompression = `
[[arm]]
name = "svd"
set = ['compress.method="svd"', 'compress.allocation="uniform"']
[[arm]]
name = "fwsvd"
label = "FWSVD"
set = ['compress.method="fwsvd"']
[[arm]]
name = "tuned"
set = ['compress.method="svd"', 'compress.allocation="uniform"', 'compress.finetune.schedule="constant"']
[compress]
set = ["compress.calibration.examples=2"]
finetune = ["compress.finetune.steps=4", "compress.finetune.batch_size=2", "compress.finetune.warmup_steps=1"]
ratios = [0.3, 0.6]
tuned_ratios = [0.6]
[[compress.expect]]
measure = "difference"
of = "loss"
arm = "svd"
than = ["parent"]
at = 0.6
at_most = 9.0
[[compress.expect]]
measure = "fewer_bytes"
arm = "fwsvd"
than = ["svd", "fwsvd"]
[[compress.expect]]
measure = "difference"
of = "loss"
arm = "tuned"
than = ["svd"]
at = 0.6
`

// writeCompression writes the claim, after some replacements.
func writeCompression(t *testing.T, replace ...string) string {
	t.Helper()
	arms := tiny[strings.Index(tiny, "[[arm]]"):]
	return writeTiny(t, append(replace, arms, strings.NewReplacer(replace...).Replace(tinyCompression), "d_model = 8", "d_model = 16")...)
}

// A whole claim about compression: every point within its budget, documents, and all from the cache the second time.
func TestWholeCompressionClaim(t *testing.T) {
	claim, dir := writeCompression(t), t.TempDir()
	docs := filepath.Join(dir, "docs")
	args := []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs}
	d, first, _ := runWhole(t, args)
	// The parent, two arms at two ratios, one at one.
	if d.Verdict != Holds || len(d.PerSeed) != 6 || len(d.Measured) != 3 || len(d.Expected) != 3 || d.PerSeed[0].Arm != parentName {
		t.Fatalf("verdict %s, %d points, %d findings; want holds, 6, 3\n%s", d.Verdict, len(d.PerSeed), len(d.Measured), first)
	}
	// 16 inputs and outputs: 4 of attention, 3 with d_ff = 48.
	dense := d.PerSeed[0].Runs[0].Bytes
	for _, a := range d.PerSeed {
		if len(a.Runs) != 2 {
			t.Fatalf("%s has %d runs, want one for each of 2 seeds", a.point(), len(a.Runs))
		}
		for i, r := range a.Runs {
			if limit := int((1 - a.Ratio) * float64(dense)); r.Bytes > limit || r.Bytes < limit*8/10 || r.DenseBytes != dense {
				t.Errorf("%s, seed %d: %d bytes of %d; want at most %d, and not much less", a.point(), i+1, r.Bytes, r.DenseBytes, limit)
			}
			if !(r.Loss > 1 && r.Loss < 7) {
				t.Errorf("%s, seed %d: loss %v", a.point(), i+1, r.Loss)
			}
		}
		if a.Runs[0].Loss == a.Runs[1].Loss {
			t.Errorf("%s: both seeds have loss %v; want networks of their own", a.point(), a.Runs[0].Loss)
		}
	}
	oneShot, tuned := d.PerSeed[2], d.PerSeed[5]
	if oneShot.Arm != "svd" || oneShot.Ratio != 0.6 || tuned.Arm != "tuned" || len(tuned.Tuning) != 2 || tuned.Runs[0].Loss == oneShot.Runs[0].Loss {
		t.Errorf("%s has loss %v, %s %v by %v; want others, and 2 learning rates tried", oneShot.point(), oneShot.Runs[0].Loss, tuned.point(), tuned.Runs[0].Loss, tuned.Tuning)
	}
	md, err := os.ReadFile(filepath.Join(docs, "tiny.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| network | 30% | 60% |", "| FWSVD | ", "| tuned | - | ", "Learning rates", "not compressed: ", "loss of svd minus that of parent, with 60% fewer bytes: at most 9"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("tiny.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "tiny.svg")); err != nil || !bytes.Contains(svg, []byte("bytes of the layers")) || !bytes.Contains(svg, []byte("FWSVD")) {
		t.Errorf("tiny.svg: %v, %d bytes; want losses over bytes", err, len(svg))
	}
	// 2 parents, 2 learning rates, 5 points of 2 seeds.
	runAgain(t, args, first, 14)
	// A parent whose checkpoint is gone is trained again, to the same network; what was made of it counts.
	if err := os.RemoveAll(filepath.Join(dir, "cache", "parents")); err != nil {
		t.Fatal(err)
	}
	again, _, log := runWhole(t, args)
	if strings.Count(log, "from the cache") != 12 {
		t.Fatalf("the third time:\n%s\nwant all but the parents from the cache", log)
	}
	if a, b := d.PerSeed[0].Runs[1].Loss, again.PerSeed[0].Runs[1].Loss; a != b {
		t.Errorf("a parent has loss %v, trained again %v", a, b)
	}
}

func TestBadCompressionClaims(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown method", `method="fwsvd"`, `method="fwsdv"`, "does not apply to a compression"},
		{"ratios that shrink", "ratios = [0.3, 0.6]", "ratios = [0.6, 0.3]", "wants different shares"},
		{"a ratio of 1", "tuned_ratios = [0.6]", "tuned_ratios = [1.0]", "wants different shares"},
		{"no ratios to fine-tune at", "tuned_ratios = [0.6]", "", "has no tuned_ratios"},
		{"an arm that is not there", `arm = "tuned"`, `arm = "tunde"`, "is none of the arms"},
		{"an arm to compare with that is not there", `than = ["parent"]`, `than = ["pparent"]`, "is none of the arms"},
		{"a ratio that is not measured", "at = 0.6\nat_most", "at = 0.5\nat_most", "is none of the ratios of svd"},
		{"accuracy of a language model", "of = \"loss\"\narm = \"tuned\"", "of = \"accuracy\"\narm = \"tuned\"", "is not measured of a language model"},
		{"a frontier at one ratio", `measure = "fewer_bytes"`, "measure = \"fewer_bytes\"\nat = 0.6", "has no meaning for fewer_bytes"},
		{"a measure of training", `measure = "fewer_bytes"`, `measure = "saved"`, "is unknown; want one of difference"},
		{"an arm called parent", `name = "fwsvd"`, `name = "parent"`, "is that of the network that is compressed"},
	} {
		_, err := Load(writeCompression(t, c.old, c.new))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tiny.toml:") {
			t.Errorf("%s: %v\nwant an error with its file and %q", c.name, err, c.want)
		}
	}
	if _, err := Load(writeTiny(t, `name = "full"`, "name = \"full\"\nratios = [0.5]")); err == nil || !strings.Contains(err.Error(), "has no meaning without [compress]") {
		t.Errorf("ratios of an arm that is trained: %v", err)
	}
}

// frontierArm are points of 2 seeds that differ by noise, at ratios of 1000 bytes.
func frontierArm(name string, noise float64, points ...spot) []armRuns {
	var out []armRuns
	for _, p := range points {
		a := armRuns{Arm: name, Ratio: math.Round(100-p.bytes/10) / 100}
		for _, sign := range []float64{-1, 1} {
			a.Runs = append(a.Runs, Result{Loss: p.loss + sign*noise, Accuracy: 1 - p.loss/10, Bytes: int(p.bytes)})
		}
		out = append(out, a)
	}
	return out
}

func TestCompressExpectations(t *testing.T) {
	arms := append(frontierArm(parentName, 0, spot{1000, 1}), frontierArm("a", 0.01, spot{800, 1}, spot{400, 2}, spot{100, 4})...)
	arms = append(arms, frontierArm("b", 0.01, spot{800, 1.5}, spot{400, 3})...)
	arms = append(arms, frontierArm("c", 0.03, spot{800, 1.25}, spot{400, 3.5})...)
	arms = append(arms, frontierArm("worse", 0, spot{800, 9})...)
	least := 0.25
	for _, c := range []struct {
		name    string
		e       CompressExpect
		value   float64
		verdict Verdict
	}{
		{"against the parent", CompressExpect{Measure: "difference", Of: "loss", Arm: "a", Than: []string{"parent"}, At: 0.6}, 1, Reported},
		{"against the best of two, by loss", CompressExpect{Measure: "difference", Of: "loss", Arm: "a", Than: []string{"c", "b"}, At: 0.2}, -0.25, Reported},
		{"against the best of two, by accuracy", CompressExpect{Measure: "difference", Of: "accuracy", Arm: "a", Than: []string{"b", "c"}, At: 0.6}, 0.1, Reported},
		// Paired seeds: the difference of b and c is -0.5 +- 0.02.
		{"in standard errors", CompressExpect{Measure: "standard_errors", Of: "loss", Arm: "b", Than: []string{"c"}, At: 0.6}, -25, Reported},
		// b's loss of 3 at 400 bytes: a has it half way in the logarithm from 400 to 100 bytes, at 200. At its 1.5, 800 bytes, a
		// has sqrt(800 400) = 566.
		{"fewer bytes than one", CompressExpect{Measure: "fewer_bytes", Arm: "a", Than: []string{"b"}, Bound: Bound{AtLeast: &least}}, 0.5, Holds},
		// c's loss of 3.5 at 400 bytes is one that b has with 400 too, a with 100 sqrt 2.
		{"fewer bytes than two", CompressExpect{Measure: "fewer_bytes", Arm: "a", Than: []string{"b", "c"}, Bound: Bound{AtLeast: &least}}, 1 - math.Sqrt2/4, Holds},
		// b has a's loss of 2 at 400 bytes with 400 2^(2/3), and that of 4 at 100 bytes with 400; a's of 1 it never has.
		{"more bytes", CompressExpect{Measure: "fewer_bytes", Arm: "b", Than: []string{"a"}, Bound: Bound{AtLeast: &least}}, 1 - math.Pow(2, 2.0/3), Fails},
		{"a loss that is never reached", CompressExpect{Measure: "fewer_bytes", Arm: "worse", Than: []string{"a"}, Bound: Bound{AtLeast: &least}}, math.NaN(), Inconclusive},
	} {
		f := c.e.Evaluate(arms)
		if math.IsNaN(c.value) != (f.Value == nil) || f.Value != nil && math.Abs(*f.Value-c.value) > 1e-9 || f.Verdict != c.verdict {
			t.Errorf("%s: %s: %s, %s (%s); want %v, %s", c.name, f.Expect, number(f.Value, "%.12g"), f.Verdict, f.Reason, c.value, c.verdict)
		}
	}
	arms[2].Runs[1].Diverged = "step 3"
	if f := (CompressExpect{Measure: "fewer_bytes", Arm: "a", Than: []string{"b"}}).Evaluate(arms); f.Value != nil || f.Reason != "a with 60% fewer bytes diverged with seed 2" {
		t.Errorf("a point that diverged: %+v", f)
	}
}

// TestChangedTable: each fine-tuned arm and ratio has a line of the supports that STF changed, and one with under 1% is called frozen.
func TestChangedTable(t *testing.T) {
	c, err := Load(writeCompression(t))
	if err != nil {
		t.Fatal(err)
	}
	moved := func(share float64) []Result {
		x := make(stf.Changed, stf.Tenths)
		x[2] = share
		return []Result{{Changed: x}, {Changed: x}}
	}
	arm := func(ratio float64, runs []Result) armRuns {
		return armRuns{Arm: "tuned", Label: "T", Ratio: ratio, Runs: runs}
	}
	o := &outcome{claim: c, arms: []armRuns{{Arm: parentName}, arm(0.3, moved(0.2)), arm(0.5, moved(0.004)), arm(0.6, make([]Result, 2)), {Arm: "svd", Label: "S", Ratio: 0.3}}}
	var b strings.Builder
	o.changedTable(&b)
	for _, want := range []string{"| T, 30% | 0.00 | 0.00 | 20.00 |", " 20.00 |\n", "| T, 50% (frozen: under 1% changed) | 0.00 |", "| T, 60% | - |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "| S,") {
		t.Errorf("an arm without fine-tuning is there:\n%s", &b)
	}
}
