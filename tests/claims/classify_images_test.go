package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data/images"
	"sparrow/model/favit"
)

// tinyImages is a claim of classifiers of images that train in a fraction of a second a run.
const tinyImages = `
title = "t"
statement = "s"
paper = "p"
root_from = "SPARROW_TEST_IMAGES"
seeds = 2
[run.data]
source = "image_folder"
root = "no/such/folder"
image_size = 8
validation_share = 0.2
[run.data.augment]
flip = true
[run.model]
kind = "favit"
[run.model.favit]
variant = "tiny"
widths = [16, 16]
depths = [1, 1]
heads = [1, 1]
mlp_ratios = [2, 2]
reductions = [2, 1]
window = 2
[run.train]
steps = 30
batch_size = 8
learning_rate = 1e-2
[run.eval]
metric = "accuracy"
every = 0
examples = 6
[quick]
set = ["train.steps=2"]
[[arm]]
name = "fasa"
[[arm]]
name = "window"
set = ['model.favit.attention="window"']
[[expect]]
measure = "difference"
of = "corruption_accuracy"
arm = "fasa"
than = "window"
at_least = -1.0
[[expect]]
measure = "ratio"
of = "step_seconds"
arm = "fasa"
than = "window"
`

func writeImagesClaim(t *testing.T, replace ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pictures.toml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(tinyImages)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePictures writes images of two colours, in splits.
func writePictures(t *testing.T, splits ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, split := range splits {
		for class, shade := range map[string]color.RGBA{"red": {200, 30, 30, 255}, "blue": {30, 30, 200, 255}} {
			dir := filepath.Join(root, split, class)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				img := image.NewRGBA(image.Rect(0, 0, 8, 8))
				for p := range 64 {
					c := shade
					c.G = uint8(7*i + p)
					img.SetRGBA(p%8, p/8, c)
				}
				var b bytes.Buffer
				if err := png.Encode(&b, img); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.png", i)), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}

// A whole claim about classifiers of images: accuracy, robustness and time, and all from the cache the second time, wherever
// the images are.
func TestWholeImagesClaim(t *testing.T) {
	claim, dir := writeImagesClaim(t), t.TempDir()
	t.Setenv("SPARROW_TEST_IMAGES", writePictures(t, "train", "test"))
	docs := filepath.Join(dir, "docs")
	args := []string{claim, "--json", "--cache", filepath.Join(dir, "cache"), "--docs", docs}
	d, first, _ := runWhole(t, args)
	if d.Verdict != Holds || len(d.PerSeed) != 2 {
		t.Fatalf("verdict %s, %d arms; want holds, 2\n%s", d.Verdict, len(d.PerSeed), first)
	}
	for _, a := range d.PerSeed {
		for i, r := range a.Runs {
			var mean float64
			for _, x := range r.Corruptions {
				mean += x / float64(len(images.Corruptions))
			}
			if r.Accuracy != 1 || len(r.Corruptions) != len(images.Corruptions) || !near(mean, r.CorruptionAccuracy) || !(mean > 0.5 && mean <= 1) {
				t.Errorf("%s, seed %d: accuracy %v, %v on spoilt images by %v; want 1, and above 1/2 for each of %d ways", a.Arm, i+1, r.Accuracy, r.CorruptionAccuracy, r.Corruptions, len(images.Corruptions))
			}
			// Of 2 x 20 images 8 are held out: an epoch is 4 steps of 8 images.
			if !(r.StepSeconds > 0) || !near(r.EpochSeconds, 4*r.StepSeconds) || r.PeakMemory < 0 || r.AttentionParameters < 500 {
				t.Errorf("%s, seed %d: %+v; want the time of a step, 4 of them an epoch, and parameters", a.Arm, i+1, r)
			}
		}
	}
	md, err := os.ReadFile(filepath.Join(docs, "pictures.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| network | milliseconds a step | all | noise |", "Spoilt are at most 6 of the test split, in 8 ways of 5 severities each", "| 100.00% |"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("pictures.md has no %q:\n%s", want, md)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(docs, "pictures.svg")); err != nil || !bytes.Contains(svg, []byte("accuracy on spoilt test images")) {
		t.Errorf("pictures.svg: %v, %d bytes; want a figure of accuracies", err, len(svg))
	}
	t.Setenv("SPARROW_TEST_IMAGES", writePictures(t, "train", "test"))
	runAgain(t, args, first, 4)
}

// Without its images a claim is skipped, with the name of what tells where they are; without a test split it is an error.
func TestImagesClaimWithoutImages(t *testing.T) {
	claim := writeImagesClaim(t)
	for _, root := range []string{"", filepath.Join(t.TempDir(), "none")} {
		t.Setenv("SPARROW_TEST_IMAGES", root)
		var stdout, stderr bytes.Buffer
		if code := run([]string{claim, "--quick"}, &stdout, &stderr); code != exitOK || stdout.Len() > 0 ||
			!strings.Contains(stderr.String(), "pictures: skipped: there is no folder ") || !strings.Contains(stderr.String(), "set SPARROW_TEST_IMAGES to a folder") {
			t.Errorf("%q: exit code %d, printed %q\n%s\nwant that it is skipped", root, code, &stdout, &stderr)
		}
	}
	t.Setenv("SPARROW_TEST_IMAGES", writePictures(t, "train"))
	var stdout, stderr bytes.Buffer
	if code := run([]string{claim, "--quick"}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "have no folder test") {
		t.Errorf("no test split: exit code %d, want %d\n%s", code, exitUsage, &stderr)
	}
}

func TestBadImagesClaims(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an arm of texts", `set = ['model.favit.attention="window"']`, `set = ['data.source="imdb"', 'data.tokenizer="word"', 'data.root=""', 'model={kind="lama"}']`, "arms want one task"},
		{"a language model's metric", `of = "step_seconds"`, `of = "cache_bytes"`, "is not measured of a classifier of images"},
		{"a folder of digits", "source = \"image_folder\"\nroot = \"no/such/folder\"\nimage_size = 8", `source = "mnist"`, `is for [run.data] source = "image_folder"`},
	} {
		if _, err := Load(writeImagesClaim(t, c.old, c.new, "[run.data.augment]\nflip = true\n", "")); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "pictures.toml:") {
			t.Errorf("%s: %v\nwant an error with its file and %q", c.name, err, c.want)
		}
	}
	if _, err := Load(writeReviews(t, `of = "epoch_seconds"`, `of = "corruption_accuracy"`)); err == nil || !strings.Contains(err.Error(), "is not measured of a classifier") {
		t.Errorf("spoilt texts: %v", err)
	}
}

// The arms of favit-quality have equal parameters within 1%, and each of its stages attends in windows that are shifted once.
func TestFaViTQualityArms(t *testing.T) {
	c, err := Load("favit-quality.toml")
	if err != nil {
		t.Fatal(err)
	}
	base := 0
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		n := parameters(t, cfg, 0)
		if i == 0 {
			base = n
		}
		if ratio := float64(n) / float64(base); ratio < 0.99 || ratio > 1.01 {
			t.Errorf("arm %s has %d parameters, the first %d; want as many within 1%%", a.Name, n, base)
		}
		if f := cfg.Model.Of.(favit.Body); slices.Min(f.Depths) < 2 || f.Attention.Name != a.Name {
			t.Errorf("arm %s: %s attention in blocks %d; want two blocks a stage at least", a.Name, f.Attention.Name, f.Depths)
		}
	}
}
