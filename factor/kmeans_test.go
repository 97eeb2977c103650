package factor

import (
	"errors"
	"math"
	"slices"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// blobs are n points around each of k centres on a circle of radius 10.
func blobs(k, n int) (*Matrix, []int) {
	x := NewMatrix(k*n, 2)
	rng.FillNormal(rng.New(1, "factor/test", 0), x.Data, 0, 1)
	of := make([]int, k*n)
	for i := range of {
		of[i] = i % k
		angle := 2 * math.Pi * float64(of[i]) / float64(k)
		x.Row(i)[0] += 10 * math.Cos(angle)
		x.Row(i)[1] += 10 * math.Sin(angle)
	}
	return x, of
}

func TestKMeansFindsBlobs(t *testing.T) {
	x, of := blobs(5, 40)
	c, err := KMeans(t.Context(), x, KMeansConfig{K: 5, Seed: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := map[int]int{}
	for i, k := range c.Of {
		if was, ok := name[of[i]]; ok && was != k {
			t.Fatalf("point %d is in cluster %d, others of its blob in %d", i, k, was)
		}
		name[of[i]] = k
		if near, _ := c.Nearest(x.Row(i)); near != k {
			t.Fatalf("point %d is in %d, nearest to %d", i, k, near)
		}
	}
	if len(name) != 5 {
		t.Fatalf("%d clusters", len(name))
	}
	// The centres are means, and the inertia is the sum over a plain loop.
	inertia := 0.0
	for k := range 5 {
		mean := [2]float64{}
		for i, of := range c.Of {
			if of == k {
				mean[0] += x.Row(i)[0] / float64(c.Sizes[k])
				mean[1] += x.Row(i)[1] / float64(c.Sizes[k])
			}
		}
		for d := range 2 {
			if math.Abs(mean[d]-c.Centers.Row(k)[d]) > 1e-9 {
				t.Errorf("centre %d is %v, want %v", k, c.Centers.Row(k), mean)
			}
		}
		for i, of := range c.Of {
			if of == k {
				inertia += math.Pow(x.Row(i)[0]-mean[0], 2) + math.Pow(x.Row(i)[1]-mean[1], 2)
			}
		}
	}
	if math.Abs(inertia-c.Inertia) > 1e-6*inertia {
		t.Errorf("inertia %g, want %g", c.Inertia, inertia)
	}
}

func TestKMeansHostile(t *testing.T) {
	same := NewMatrix(6, 2)
	c, err := KMeans(t.Context(), same, KMeansConfig{K: 3}, nil)
	if err != nil || c.Inertia != 0 {
		t.Errorf("equal points: %v, %v", c, err)
	}
	x, _ := blobs(3, 2)
	c, err = KMeans(t.Context(), x, KMeansConfig{K: 6}, nil)
	if err != nil || slices.Min(c.Sizes) != 1 || c.Inertia > 1e-20 {
		t.Errorf("as many clusters as points: %v, %v", c, err)
	}
	for _, k := range []int{0, 7} {
		if _, err := KMeans(t.Context(), x, KMeansConfig{K: k}, nil); !errors.Is(err, ErrShape) {
			t.Errorf("%d clusters of 6 points: %v", k, err)
		}
	}
	huge := x.Clone()
	kernel.Scale(1e150, huge.Data)
	if c, err = KMeans(t.Context(), huge, KMeansConfig{K: 3}, nil); err != nil || math.IsNaN(c.Inertia) || c.Sizes[0] != 2 {
		t.Errorf("huge points: %v, %v", c, err)
	}
}

func TestKMeansThreads(t *testing.T) {
	x, _ := blobs(7, 300)
	defer kernel.SetThreads(0)
	var want *Clusters
	for _, threads := range []int{1, 2, 3} {
		kernel.SetThreads(threads)
		got, err := KMeans(t.Context(), x, KMeansConfig{K: 9, Restarts: 2, Seed: 4}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if got.Inertia != want.Inertia || !slices.Equal(got.Centers.Data, want.Centers.Data) {
			t.Errorf("%d threads: inertia %v, want %v", threads, got.Inertia, want.Inertia)
		}
	}
}
