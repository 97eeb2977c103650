package restore

import (
	"context"
	"math"
	"slices"
	"testing"

	"sparrow/data/cubes"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

func normals(n int, seed uint64) []float64 {
	x := make([]float64, n)
	rng.FillNormal(rng.New(seed, "test/normals", 0), x, 0, 1)
	return x
}

// A step between two halves has a solution in closed form: each half moves by lambda times the border over its area.
func TestTVStep(t *testing.T) {
	const h, w, lambda = 6, 10, 0.5
	f := make([]float64, h*w)
	for i := range f {
		if i%w >= w/2 {
			f[i] = 1
		}
	}
	u, err := rof(context.Background(), f, h, w, lambda, 20000)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range u {
		want := lambda / (w / 2)
		if f[i] == 1 {
			want = 1 - want
		}
		if math.Abs(v-want) > 1e-4 {
			t.Fatalf("pixel %d is %v, want %v", i, v, want)
		}
	}
}

// No small change makes the sum less.
func TestTVIsLeast(t *testing.T) {
	const h, w, lambda = 9, 7, 0.7
	f := normals(h*w, 1)
	sum := func(u []float64) float64 {
		total := 0.0
		for y := range h {
			for x := range w {
				i := y*w + x
				total += (u[i] - f[i]) * (u[i] - f[i]) / 2
				gx, gy := 0.0, 0.0
				if x+1 < w {
					gx = u[i+1] - u[i]
				}
				if y+1 < h {
					gy = u[i+w] - u[i]
				}
				total += lambda * math.Hypot(gx, gy)
			}
		}
		return total
	}
	u, err := rof(context.Background(), f, h, w, lambda, 20000)
	if err != nil {
		t.Fatal(err)
	}
	least := sum(u)
	for seed := range uint64(200) {
		v := slices.Clone(u)
		kernel.Axpy(math.Pow(10, -1-float64(seed%3)), normals(h*w, seed+2), v)
		if got := sum(v); got < least-1e-6 {
			t.Errorf("change %d has %v, the solution %v", seed, got, least)
		}
	}
}

// Transforms invert, and white noise keeps its deviation in every value.
func TestBM3DTransforms(t *testing.T) {
	for name, m := range map[string]transform{"dct": dct8, "bior1.5": bior15} {
		block := normals(blockPixels, 4)
		own := slices.Clone(block)
		m.both(own, make([]float64, blockPixels), m.forward)
		m.both(own, make([]float64, blockPixels), m.inverse)
		for i, v := range block {
			if math.Abs(v-own[i]) > 1e-12 {
				t.Fatalf("%s: value %d is %v after both ways, want %v", name, i, own[i], v)
			}
		}
		for i := range blockSide {
			if norm := kernel.SumSquares(m.forward[i*blockSide : (i+1)*blockSide]); math.Abs(norm-1) > 1e-12 {
				t.Errorf("%s: row %d has length %v", name, i, norm)
			}
		}
	}
	// A line that is flat has a mean and no details; one that alternates, details of the finest level alone.
	for _, m := range []transform{dct8, bior15} {
		for i := 1; i < blockSide; i++ {
			if sum := kernel.Sum(m.forward[i*blockSide : (i+1)*blockSide]); math.Abs(sum) > 1e-12 {
				t.Errorf("row %d sums to %v", i, sum)
			}
		}
	}
	stack := normals(8*blockPixels, 5)
	own := slices.Clone(stack)
	half := make([]float64, blockPixels+groupWiener)
	haar(own, 8, half, false)
	if e := kernel.SumSquares(own) / kernel.SumSquares(stack); math.Abs(e-1) > 1e-12 {
		t.Errorf("Haar changes the energy by %v", e)
	}
	haar(own, 8, half, true)
	for i, v := range stack {
		if math.Abs(v-own[i]) > 1e-12 {
			t.Fatalf("Haar: value %d is %v after both ways, want %v", i, own[i], v)
		}
	}
}

func golden(t *testing.T) (noisy, clean, reference []float64, h, w int) {
	t.Helper()
	c, err := cubes.Open("testdata/bm3d.npy", cubes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Band(0), c.Band(1), c.Band(2), c.Height, c.Width
}

func psnr(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i]) / float64(len(a))
	}
	return -10 * math.Log10(sum)
}

// Within 0.15 dB of PyPI's bm3d on a picture of curves, an edge and stripes; equal bits for any number of threads.
func TestBM3DAgainstPyPI(t *testing.T) {
	noisy, clean, reference, h, w := golden(t)
	got, err := BM3D{}.Denoise(context.Background(), noisy, h, w, 0.08)
	if err != nil {
		t.Fatal(err)
	}
	if ours, theirs := psnr(got, clean), psnr(reference, clean); ours < theirs-0.15 || theirs < psnr(noisy, clean)+5 {
		t.Errorf("PSNR %.2f, of bm3d %.2f, of the noisy picture %.2f", ours, theirs, psnr(noisy, clean))
	}
	if near := psnr(got, reference); near < 38 {
		t.Errorf("PSNR %.2f against bm3d's picture, want at least 38", near)
	}
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	kernel.SetThreads(3)
	again, err := BM3D{}.Denoise(context.Background(), noisy, h, w, 0.08)
	if err != nil || !slices.Equal(got, again) {
		t.Errorf("three threads give other bits, %v", err)
	}
}

// Pictures with nothing to match: one value, a single block, no noise.
func TestPriorsOnOddPictures(t *testing.T) {
	for _, p := range []Prior{None{}, TV{}, BM3D{}} {
		for _, size := range [][2]int{{1, 1}, {3, 20}, {8, 8}, {9, 17}} {
			h, w := size[0], size[1]
			for name, x := range map[string][]float64{"zeros": make([]float64, h*w), "noise": normals(h*w, 6)} {
				got, err := p.Denoise(context.Background(), x, h, w, 1)
				if err != nil || len(got) != h*w || !kernel.AllFinite(got) {
					t.Errorf("%s on %s of %d x %d: %v", p.Name(), name, h, w, err)
				}
			}
		}
	}
}
