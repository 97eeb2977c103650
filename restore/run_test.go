package restore

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"sparrow/data/cubes"
	"sparrow/factor"
	"sparrow/kernel"
)

// scene is a small cube of four materials.
func scene() *cubes.Cube {
	return cubes.Synthetic(cubes.Scene{Height: 36, Width: 40, Bands: 32, Materials: 4, Seed: 3})
}

// scikit-image's structural_similarity of testdata/bm3d.npy.
const goldenSSIM = 0.6302145304527008

func TestCompare(t *testing.T) {
	noisy, clean, _, h, w := golden(t)
	if got := ssim(clean, clipped(noisy), h, w); math.Abs(got-goldenSSIM) > 1e-9 {
		t.Errorf("SSIM %.12f, want %.12f", got, goldenSSIM)
	}
	// Two pixels, two bands, by hand.
	a := &cubes.Cube{Height: 1, Width: 2, Bands: 2, Data: []float64{0.5, 0.5, 0.4, 0.8}}
	b := &cubes.Cube{Height: 1, Width: 2, Bands: 2, Data: []float64{0.6, 0.5, 0.4, 1.7}} // 1.7 counts as 1
	q := Compare(a, b, 2)
	mse := [2]float64{0.01 / 2, 0.04 / 2}
	wantPSNR := (-10*math.Log10(mse[0]) - 10*math.Log10(mse[1])) / 2
	wantERGAS := 50 * math.Sqrt((mse[0]/(0.45*0.45)+mse[1]/(0.65*0.65))/2)
	angle := func(x, y []float64) float64 {
		return math.Acos((x[0]*y[0] + x[1]*y[1]) / math.Hypot(x[0], x[1]) / math.Hypot(y[0], y[1]))
	}
	wantSAM := (angle([]float64{.5, .5}, []float64{.6, .5}) + angle([]float64{.4, .8}, []float64{.4, 1})) / 2
	if math.Abs(q.PSNR-wantPSNR) > 1e-12 || math.Abs(q.ERGAS-wantERGAS) > 1e-12 || math.Abs(q.SAM-wantSAM) > 1e-12 {
		t.Errorf("got %+v, want PSNR %v, ERGAS %v, SAM %v", q, wantPSNR, wantERGAS, wantSAM)
	}
}

func clipped(x []float64) []float64 {
	y := slices.Clone(x)
	for i, v := range y {
		y[i] = min(max(v, 0), 1)
	}
	return y
}

// Without noise and prior the result is the cube, in either basis.
func TestNoNoiseIsProjection(t *testing.T) {
	clean := scene()
	for _, basis := range []Basis{Eigen, Bands} {
		r, err := Run(context.Background(), clean, Config{Task: Denoise, Basis: basis, Rank: 4, Sigma: []float64{0.01}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range clean.Data {
			if math.Abs(v-r.Cube.Data[i]) > 1e-9 {
				t.Fatalf("%s: value %d is %v, want %v", basis, i, r.Cube.Data[i], v)
			}
		}
		if basis == Bands && (len(r.Chosen) != 4 || r.Largest > coefficientBound*(1+1e-9) || r.Condition < 1) {
			t.Errorf("bands %v, largest coefficient %v, condition %v", r.Chosen, r.Largest, r.Condition)
		}
	}
}

// Better than low rank alone by every prior, blind, and what is taken away is white.
func TestDenoise(t *testing.T) {
	clean := scene()
	y, _, err := Spoil(clean, Case{Task: Denoise, Noise: "20-40", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	plain := math.Inf(-1)
	for _, p := range []Prior{None{}, TV{}, BM3D{}} {
		r, err := Run(context.Background(), y, Config{Task: Denoise, Prior: p}, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := Compare(clean, r.Cube, 1)
		if plain == math.Inf(-1) {
			plain = q.PSNR
		} else if q.PSNR < plain+0.5 {
			t.Errorf("%s has PSNR %.2f, low rank alone %.2f", p.Name(), q.PSNR, plain)
		}
		if r.Rank != 4 && r.Rank != 3 || !r.Blind {
			t.Errorf("rank %d", r.Rank)
		}
		mean := 0.0
		for _, v := range r.Whiteness {
			mean += v / float64(len(r.Whiteness))
		}
		if math.Abs(mean-(1-4.0/32)) > 0.12 {
			t.Errorf("%s: residual variance %.3f in units of the noise, want about %.3f", p.Name(), mean, 1-4.0/32)
		}
	}
}

// Constant bands come back as they are, and are listed.
func TestConstantBands(t *testing.T) {
	y, _, err := Spoil(scene(), Case{Task: Denoise, Noise: "30"})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []int{0, 7} {
		y.SetBand(b, slices.Repeat([]float64{0.25}, y.Pixels()))
	}
	for _, cfg := range []Config{{Task: Denoise, Prior: TV{}}, {Task: Enlarge, Scale: 2}, {Task: Inpaint, Known: slices.Repeat([]bool{true}, y.Pixels())}} {
		r, err := Run(context.Background(), y, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Left, []int{0, 7}) || r.Cube.Bands != y.Bands {
			t.Fatalf("%s: left out %v", cfg.Task, r.Left)
		}
		for _, b := range r.Left {
			for p, v := range r.Cube.Band(b) {
				if v != 0.25 && cfg.Task != Inpaint {
					t.Fatalf("%s: band %d, pixel %d is %v, want 0.25", cfg.Task, b, p, v)
				}
			}
		}
		if !math.IsNaN(r.Sigma[7]) || math.IsNaN(r.Sigma[8]) {
			t.Errorf("%s: noise %v", cfg.Task, r.Sigma[:9])
		}
	}
}

// Inpainting finds what zero-filling does not, with unknown values that are NaN, masks of entries and of whole pixels.
func TestInpaint(t *testing.T) {
	clean := scene()
	y, known, err := Spoil(clean, Case{Task: Inpaint, Noise: "10", Missing: 0.7, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, yes := range known {
		if !yes {
			y.Data[i] = math.NaN()
		}
	}
	r, err := Run(context.Background(), y, Config{Task: Inpaint, Known: known, Prior: TV{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := y.Clone()
	for i, yes := range known {
		if !yes {
			zeroed.Data[i] = 0
		}
	}
	zero, err := Run(context.Background(), zeroed, Config{Task: Denoise, Rank: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range zero.Cube.Data {
		zero.Cube.Data[i] /= 0.3
	}
	if q, far := Compare(clean, r.Cube, 1), Compare(clean, zero.Cube, 1); q.PSNR < far.PSNR+5 {
		t.Errorf("PSNR %.2f at rank %d, by zeros for unknown %.2f: want at least 5 more", q.PSNR, r.Rank, far.PSNR)
	}
	pixels := make([]bool, y.Pixels())
	spoilt := clean.Clone()
	for p := range pixels {
		pixels[p] = (p/clean.Width)%9 != 4 || p%5 == 0 // holes in lines
		if !pixels[p] {
			for b := range clean.Bands {
				spoilt.Data[p*clean.Bands+b] = math.NaN()
			}
		}
	}
	r, err = Run(context.Background(), spoilt, Config{Task: Inpaint, Known: pixels, Prior: TV{}, Sigma: []float64{0.01}, Rank: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if q := Compare(clean, r.Cube, 1); q.PSNR < 25 || !kernel.AllFinite(r.Cube.Data) {
		t.Errorf("whole pixels: PSNR %.2f", q.PSNR)
	}
	known[5], y.Data[5] = true, math.NaN()
	if _, err := Run(context.Background(), y, Config{Task: Inpaint, Known: known}, nil); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "band 6 has NaN at row 1, column 1") {
		t.Errorf("a known NaN: got %v", err)
	}
}

// The proximal step of a mask solves its normal equations, and with s without bound those of the data alone.
func TestMaskStep(t *testing.T) {
	const n, bands, k = 20, 9, 3
	white := &factor.Matrix{Rows: n, Cols: bands, Data: normals(n*bands, 1)}
	basis := &factor.Matrix{Rows: bands, Cols: k, Data: normals(bands*k, 2)}
	z := &factor.Matrix{Rows: n, Cols: k, Data: normals(n*k, 3)}
	marks := make([]bool, n*bands)
	for i, v := range normals(n*bands, 4) {
		marks[i] = v > -0.8
	}
	for _, s := range []float64{0.3, 2, 1e9} {
		c := factor.NewMatrix(n, k)
		maskStep(white, marks, basis, c, z, s)
		for p := range n {
			for i := range k {
				slope := (c.Row(p)[i] - z.Row(p)[i]) / (s * s)
				for b := range bands {
					if marks[p*bands+b] {
						fit := 0.0
						for j := range k {
							fit += basis.Row(b)[j] * c.Row(p)[j]
						}
						slope += (fit - white.Row(p)[b]) * basis.Row(b)[i]
					}
				}
				if math.Abs(slope) > 1e-8 {
					t.Fatalf("s = %v, pixel %d: gradient %v", s, p, slope)
				}
			}
		}
	}
}

// The proximal step of blur solves its normal equations, written by inner products: <H c - y, H d> + <c - z, d>/s² = 0 for every d.
func TestSharpen(t *testing.T) {
	const h, w, scale = 12, 18, 3
	rows, cols := Blur(h, scale), Blur(w, scale)
	s, err := newSharpen(context.Background(), rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	y, z := normals(h/scale*w/scale, 1), normals(h*w, 2)
	for _, deviation := range []float64{0.2, 3} {
		c := s.solve(y, z, deviation)
		rest := sides(rows, cols, c)
		kernel.Axpy(-1, y, rest)
		for seed := range uint64(5) {
			d := normals(h*w, 10+seed)
			sum := kernel.Dot(rest, sides(rows, cols, d))
			for i, v := range d {
				sum += (c[i] - z[i]) * v / (deviation * deviation)
			}
			if math.Abs(sum) > 1e-8 {
				t.Errorf("s = %v: the slope along direction %d is %v", deviation, seed, sum)
			}
		}
	}
	for i := range rows.Rows { // a flat picture stays flat
		if sum := kernel.Sum(rows.Row(i)); math.Abs(sum-1) > 1e-12 {
			t.Errorf("row %d of the blur sums to %v", i, sum)
		}
	}
	up := Cubic(9, 2)
	for i := 4; i < 14; i++ { // cubic convolution keeps quadratic curves
		got := 0.0
		for k, v := range up.Row(i) {
			got += v * float64(k*k)
		}
		if at := float64(i) / 2; math.Abs(got-at*at) > 1e-12 {
			t.Errorf("place %d is %v, want %v", i, got, at*at)
		}
	}
}

// Enlarging by plug-and-play is nearer than interpolation.
func TestEnlarge(t *testing.T) {
	rows, err := Evaluate(context.Background(), scene(), Case{Task: Enlarge, Noise: "10", Scale: 2, Rank: 4}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, r := range rows {
		got[r.Name] = r.Quality.PSNR
	}
	if !(got["low rank, then cubic"] > got["cubic of each band"]+0.5 && got["low rank + bm3d"] > got["low rank, then cubic"]+0.3) {
		t.Errorf("got %v", got)
	}
}

// The clean cube that a run is measured against later changes no bit of what it makes: rows of Evaluate are those of Run on the
// spoilt cube, whatever the clean one holds.
func TestNoTruthInside(t *testing.T) {
	clean := scene()
	c := Case{Task: Denoise, Noise: "30", Seed: 4}
	y, _, err := Spoil(clean, c)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	r, err := Run(context.Background(), y, Config{Task: Denoise, Prior: BM3D{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cubes.WriteNPY(&want, r.Cube); err != nil {
		t.Fatal(err)
	}
	poisoned := clean.Clone()
	for i := range poisoned.Data {
		poisoned.Data[i] = math.Mod(poisoned.Data[i]*977, 1)
	}
	for _, reference := range []*cubes.Cube{clean, poisoned} {
		e := &evaluation{ctx: context.Background(), clean: reference, y: y, c: c, total: 1}
		var got bytes.Buffer
		if err := e.add("run", "", func() (*cubes.Cube, int, error) {
			r, err := Run(e.ctx, e.y, Config{Task: Denoise, Prior: BM3D{}}, nil)
			if err == nil {
				err = cubes.WriteNPY(&got, r.Cube)
			}
			return r.Cube, r.Rank, err
		}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Error("the reference changes what is restored")
		}
	}
}

func TestRefused(t *testing.T) {
	y, _, err := Spoil(scene(), Case{Task: Denoise, Noise: "30"})
	if err != nil {
		t.Fatal(err)
	}
	bad := y.Clone()
	bad.Data[40] = math.NaN()
	if _, err := Run(context.Background(), bad, Config{Task: Denoise}, nil); !errors.Is(err, cubes.ErrFile) || !strings.Contains(err.Error(), "band 9 has NaN at row 1, column 2") {
		t.Errorf("NaN: got %v", err)
	}
	for name, cfg := range map[string]Config{
		"task": {Task: "x"}, "basis": {Task: Denoise, Basis: "x"}, "rank": {Task: Denoise, Rank: 33}, "sigma": {Task: Denoise, Sigma: []float64{1, 2}},
		"negative": {Task: Denoise, Sigma: []float64{-1}}, "no mask": {Task: Inpaint}, "mask": {Task: Denoise, Known: make([]bool, y.Pixels())},
		"scale": {Task: Enlarge}, "scale of none": {Task: Denoise, Scale: 2}, "bands": {Task: Enlarge, Scale: 2, Basis: Bands},
		"nothing known": {Task: Inpaint, Known: make([]bool, y.Pixels())},
	} {
		if _, err := Run(context.Background(), y, cfg, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	flat := cubes.New(20, 20, 5)
	if _, err := Run(context.Background(), flat, Config{Task: Denoise}, nil); !errors.Is(err, ErrConfig) {
		t.Errorf("a flat cube: got %v", err)
	}
	for _, noise := range []string{"", "x", "0", "30-20", "-3"} {
		if _, _, err := ParseNoise(noise); err == nil {
			t.Errorf("noise %q: no error", noise)
		}
	}
}
