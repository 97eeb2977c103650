package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/model"
	"sparrow/model/favit"
)

// tinyImageSweep is a claim about the cost of image classifiers that is measured in a second.
const tinyImageSweep = `
title = "t"
statement = "s"
paper = "p"
[sweep]
measure = "step"
sizes = [8, 16]
rounds = 2
[run.data]
source = "image_folder"
root = "unread"
[run.model]
kind = "favit"
[run.model.favit]
variant = "tiny"
widths = [16, 32]
depths = [1, 1]
heads = [1, 1]
mlp_ratios = [2, 2]
reductions = [2, 1]
window = 2
[quick]
sizes = [8, 12]
[[arm]]
name = "fasa"
at = [[], ["model.favit.reductions=[4, 2]"]]
[[arm]]
name = "forward"
measure = "forward"
[[arm]]
name = "local"
measure = "attention"
set = ['model.favit.groups="local"']
[[arm]]
name = "window"
measure = "attention"
set = ['model.favit.attention="window"']
[[sweep.expect]]
measure = "exponent"
of = "seconds"
arm = "fasa"
at_most = 9.0
[[sweep.expect]]
measure = "ratio"
of = "seconds"
arm = "local"
than = "window"
at = 16
`

func writeImageSweep(t *testing.T, replace ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pixels.toml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(tinyImageSweep)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A sweep over images: each arm by its own measure, and by its own overrides at a size.
func TestWholeImageSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("-short sweeps in TestWholeSweep")
	}
	claim, dir := writeImageSweep(t), t.TempDir()
	docs := filepath.Join(dir, "docs")
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	var d document
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Verdict != Holds || len(d.Points) != 2 {
		t.Fatalf("verdict %s, %d points; want holds, 2", d.Verdict, len(d.Points))
	}
	c, err := Load(claim)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range d.Points {
		network := c.Run.Model.Of.(favit.Body)
		network.Reductions = [][]int{{2, 1}, {4, 2}}[i]
		want := network.Parameters(model.Dims{Classes: 256, ImageSize: p.Size, Channels: imageChannels})
		if got := p.arm("fasa").Parameters; got != want {
			t.Errorf("with reductions %d there are %d parameters, want %d", network.Reductions, got, want)
		}
	}
	// One layer of 16 channels: q, proj and the separable convolution, then two groups of 8 channels; and four projections.
	for name, want := range map[string]int{"local": 2*(256+16) + 10*16 + 256 + 16 + 2*(3*64+3*8+10*8), "window": 4 * (256 + 16)} {
		if got := d.Points[0].arm(name).Parameters; got != want {
			t.Errorf("the attention of %s has %d parameters, want %d", name, got, want)
		}
	}
	md, err := os.ReadFile(filepath.Join(docs, "pixels.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Images a second, batch 1:", "| network | parameters | 8 | 16 |", "exponents are those of their numbers of pixels"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("pixels.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "pixels.svg")); err != nil || !bytes.Contains(svg, []byte("side of the image (pixels)")) || !bytes.Contains(svg, []byte("stroke-dasharray")) {
		t.Errorf("pixels.svg: %v, %d bytes; want a figure with dashes for the other measures", err, len(svg))
	}
}

// The exponent of an image's side is half as large in its pixels.
func TestImageExponent(t *testing.T) {
	points := []Point{measured(8, []float64{1}, []float64{1}), measured(16, []float64{16}, []float64{4})}
	for i := range points {
		points[i].images = true
	}
	for arm, want := range map[string]float64{"a": 2, "b": 1} {
		if f := (SweepExpect{Measure: "exponent", Of: "seconds", Arm: arm}).Evaluate(points); f.Value == nil || !near(*f.Value, want) {
			t.Errorf("exponent of %s is %s, want %v", arm, number(f.Value, "%v"), want)
		}
	}
}

func TestBadImageSweeps(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"decoding images", `measure = "step"`, `measure = "decode"`, "wants decoder"},
		{"tokens of images", `of = "seconds"`, `of = "tokens_per_second"`, "is not measured of images"},
		{"an arm of text", `set = ['model.favit.groups="local"']`, `set = ['data={source="imdb"}', 'model={kind="encoder", d_model=8, attention={n_head=2}}']`, "arms want one kind of data"},
	} {
		if _, err := Load(writeImageSweep(t, c.old, c.new)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "pixels.toml:") {
			t.Errorf("%s: %v\nwant an error with its file and %q", c.name, err, c.want)
		}
	}
	var stdout, stderr bytes.Buffer
	claim := writeImageSweep(t, "sizes = [8, 12]", "sizes = [4, 5]") // the second stage has a map of one pixel, which has no reflection
	if code := run([]string{claim, "--quick"}, &stdout, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "fasa at size 4, batch 1: ") {
		t.Errorf("images that are too small: exit code %d, want %d\n%s", code, exitFailed, &stderr)
	}
}

// Every arm of favit-cost can look at images of every size.
func TestFaViTCostArms(t *testing.T) {
	c, err := Load("favit-cost.toml")
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range c.Arms {
		for _, size := range c.Sweep.Sizes {
			cfg, err := c.sizeConfig(i, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := cfg.Model.Of.(favit.Body).Check(model.Dims{Classes: c.Sweep.VocabSize, ImageSize: size, Channels: imageChannels}); err != nil {
				t.Errorf("arm %s: images of %d pixels: %v", a.Name, size, err)
			}
		}
	}
}
