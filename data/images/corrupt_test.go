package images

import (
	"bytes"
	"math"
	"testing"
)

// scene is an image with smooth parts and edges.
func scene(channels, side int) *Images {
	x := &Images{Channels: channels, Height: side, Width: side, labels: []int32{0}}
	for c := range channels {
		for y := range side {
			for px := range side {
				v := 60 + 4*px + 20*c
				if (y-side/2)*(y-side/2)+(px-side/2)*(px-side/2) < side*side/9 {
					v = 200 - 30*c
				}
				x.pixels = append(x.pixels, uint8(min(v, 255)))
			}
		}
	}
	return x
}

func corrupted(t *testing.T, x *Images, name string, severity int, seed uint64, index int) []uint8 {
	t.Helper()
	k, err := NewCorruption(name, severity, seed)
	if err != nil {
		t.Fatal(err)
	}
	pixels, _ := x.At(0)
	out := make([]uint8, len(pixels))
	if err := k.apply(out, pixels, x, index); err != nil {
		t.Fatal(err)
	}
	return out
}

func difference(a, b []uint8) float64 {
	var sum float64
	for i := range a {
		sum += math.Pow(float64(a[i])-float64(b[i]), 2)
	}
	return math.Sqrt(sum / float64(len(a)))
}

// TestCorruptions: each one changes an image, more with severity, equally for equal seeds; of gray images as of coloured ones.
func TestCorruptions(t *testing.T) {
	for _, x := range []*Images{scene(3, 32), scene(1, 28)} {
		pixels, _ := x.At(0)
		for _, name := range Corruptions {
			last := 0.0
			for severity := 1; severity <= Severities; severity++ {
				got := corrupted(t, x, name, severity, 1, 0)
				d := difference(got, pixels)
				// The square of one severity may hide more contrast than that of the next, and jpeg blocks may fit by chance.
				if slack := 0.8; d <= 0 || d < slack*last {
					t.Errorf("%s: severity %d of %d channels differs by %.2f, severity %d by %.2f", name, severity, x.Channels, d, severity-1, last)
				}
				last = d
				if !bytes.Equal(got, corrupted(t, x, name, severity, 1, 0)) {
					t.Errorf("%s: severity %d: the same seed and image differ", name, severity)
				}
			}
		}
		for _, name := range []string{"noise", "occlusion"} {
			if a := corrupted(t, x, name, 3, 1, 0); bytes.Equal(a, corrupted(t, x, name, 3, 1, 1)) || bytes.Equal(a, corrupted(t, x, name, 3, 2, 0)) {
				t.Errorf("%s: another index or seed gives the same", name)
			}
		}
	}
	for _, c := range []struct {
		name     string
		severity int
	}{{"fog", 1}, {"blur", 0}, {"blur", 6}} {
		if _, err := NewCorruption(c.name, c.severity, 1); err == nil {
			t.Errorf("%s of severity %d: no error", c.name, c.severity)
		}
	}
}

// TestCorruptionValues: against values that follow from the definitions.
func TestCorruptionValues(t *testing.T) {
	flat := &Images{Channels: 1, Height: 20, Width: 20, labels: []int32{0}, pixels: bytes.Repeat([]uint8{100}, 400)}
	for _, name := range []string{"blur", "contrast", "pixelate"} {
		for i, v := range corrupted(t, flat, name, 5, 1, 0) {
			if v != 100 {
				t.Fatalf("%s: value %d of an even image is %d, want 100", name, i, v)
			}
		}
	}
	for i, v := range corrupted(t, flat, "brightness", 2, 1, 0) {
		if v != 151 { // 100 + 0.2 * 255
			t.Fatalf("brightness: value %d is %d, want 151", i, v)
		}
	}
	grey := 0
	for _, v := range corrupted(t, flat, "occlusion", 4, 1, 0) {
		if v == 128 {
			grey++
		}
	}
	if grey != 121 { // 11 x 11, the nearest square to 0.3 of 400
		t.Errorf("occlusion: %d pixels are grey, want 121", grey)
	}
	// A corner leaves the image when it turns, the middle stays.
	turned := corrupted(t, flat, "rotation", 5, 1, 0)
	if turned[0] != 0 || turned[19] != 0 || turned[10*20+10] != 100 {
		t.Errorf("rotation: corners %d and %d, middle %d; want 0, 0, 100", turned[0], turned[19], turned[210])
	}
	var sum, squares float64
	noise := corrupted(t, flat, "noise", 1, 1, 0)
	for _, v := range noise {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / 400
	if std := math.Sqrt(squares/400 - mean*mean); math.Abs(mean-100) > 4 || math.Abs(std-0.08*255) > 2.5 {
		t.Errorf("noise: mean %.1f, deviation %.1f; want about 100 and 20.4", mean, std)
	}
}
