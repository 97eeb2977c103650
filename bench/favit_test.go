package main

import (
	"math"
	"testing"

	"sparrow/kernel"
)

// tinyImages is the smallest network on its smallest images.
var tinyImages = imagesConfig{Variant: "tiny", Size: 28, Batch: 2, Classes: 3}

// The worker trains the images that it was given, and forgets nothing between
// commands.
func TestImages(t *testing.T) {
	path, done, err := tinyImages.write()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all := answers(t, request{"cmd": "images-step"}, request{"cmd": "images", "images": tinyImages, "weights": path},
		request{"cmd": "images-step", "steps": 2}, request{"cmd": "images-infer", "steps": 3}, request{"cmd": "images-step", "steps": 20})
	if want := "images-step: no network, send images first"; all[0].Error != want {
		t.Errorf("error %q, want %q", all[0].Error, want)
	}
	for i, seconds := range map[int]int{2: 2, 3: 3, 4: 20} {
		if a := all[i]; a.Error != "" || len(a.Seconds) != seconds {
			t.Errorf("answer %d: %q, %d times, want %d", i, a.Error, len(a.Seconds), seconds)
		}
	}
	if first, last := all[2].Loss, all[4].Loss; math.Abs(first-math.Log(3)) > 0.5 || last > first/2 {
		t.Errorf("loss %g, after 20 steps more %g; want about log 3 and less than half of it", first, last)
	}
}

// The peer gets every number of the variant.
func TestImagesSpelled(t *testing.T) {
	c := favitB0.spelled()
	if len(c.Widths) != 4 || len(c.Reductions) != 4 || c.StemKernel != 7 || c.Window != 7 || c.Fusion != "mean" || c.Channels != 3 {
		t.Errorf("spelled out it is %+v", c)
	}
}

func BenchmarkFaViT(b *testing.B) {
	kernel.SetThreads(1)
	defer kernel.SetThreads(0)
	path, done, err := favitB0.write()
	if err != nil {
		b.Fatal(err)
	}
	defer done()
	w := &worker{}
	if err := w.loadImages(favitB0, path, ""); err != nil {
		b.Fatal(err)
	}
	b.Run("step", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.step(1); err != nil {
				b.Fatal(err)
			}
		}
		if loss := w.program.Loss(); !(loss >= 0) {
			b.Errorf("loss %v", loss)
		}
	})
	b.Run("inference", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.infer(1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
