package discover

import (
	"context"
	"math"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// planted are examples of k classes in r domains, each class the union of two opposite blobs, so that what lies near another is not
// what is of its class.
type planted struct {
	x      *factor.Matrix // [n, 2]
	class  []int
	domain []int
	share  *factor.Matrix // [k, r]: p(y|d)
}

// dirichlet draws from Dir(alpha, ..., alpha) by sums of Marsaglia and Tsang's gamma draws.
func dirichlet(r *rng.Source, alpha float64, k int) []float64 {
	normal := func() float64 {
		var x [1]float64
		rng.FillNormal(r, x[:], 0, 1)
		return x[0]
	}
	logs := make([]float64, k)
	for i := range logs {
		d := alpha + 1 - 1.0/3 // a draw for alpha+1, brought down by u^(1/alpha)
		c := 1 / math.Sqrt(9*d)
		for {
			x := normal()
			v := math.Pow(1+c*x, 3)
			if u := r.Float64(); v > 0 && math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
				logs[i] = math.Log(d*v) + math.Log(r.Float64()+1e-300)/alpha
				break
			}
		}
	}
	softmax(logs)
	return logs
}

// plant draws shares from Dir(alpha/k) until their condition is below limit, then n examples.
func plant(ctx context.Context, seed uint64, k, r, n int, alpha, limit float64) *planted {
	p := &planted{x: factor.NewMatrix(n, 2), share: factor.NewMatrix(k, r)}
	for try := range uint64(1000) {
		draw := rng.New(seed, "discover/plant", try<<40)
		for d := range r {
			for y, v := range dirichlet(draw, alpha/float64(k), k) {
				p.share.Row(y)[d] = v
			}
		}
		if c, err := conditionOf(ctx, p.share); err == nil && c < limit {
			break
		}
	}
	draw := rng.New(seed, "discover/plant examples", 0)
	rng.FillNormal(draw, p.x.Data, 0, 0.35)
	for i := range n {
		d := i % r
		u, y := draw.Float64(), 0
		for ; y < k-1; y++ {
			if u -= p.share.Row(y)[d]; u < 0 {
				break
			}
		}
		angle := math.Pi * float64(y) / float64(k)
		if draw.Float64() < 0.5 {
			angle += math.Pi
		}
		p.x.Row(i)[0] += 2 * math.Cos(angle)
		p.x.Row(i)[1] += 2 * math.Sin(angle)
		p.class, p.domain = append(p.class, y), append(p.domain, d)
	}
	return p
}

// features are random waves of the plane, of which a linear head tells any smooth function.
func features(x *factor.Matrix, width int) *factor.Matrix {
	draw := rng.New(1, "discover/features", 0)
	w, b := factor.NewMatrix(2, width), make([]float64, width)
	rng.FillNormal(draw, w.Data, 0, 1)
	rng.FillUniform(draw, b, 0, 2*math.Pi)
	f := x.Mul(w)
	for i := range f.Rows {
		for k, v := range b {
			f.Row(i)[k] = math.Cos(f.Row(i)[k]+v) * math.Sqrt(2)
		}
	}
	return f
}

// samples trains a head on the first four fifths and returns what it says of all.
func (p *planted) samples(t testing.TB) Samples {
	t.Helper()
	f := features(p.x, 64)
	n := f.Rows * 4 / 5
	part := func(lo, hi int) *factor.Matrix {
		return &factor.Matrix{Rows: hi - lo, Cols: f.Cols, Data: f.Data[lo*f.Cols : hi*f.Cols]}
	}
	r := p.share.Cols
	h, err := FitHead(t.Context(), part(0, n), p.domain[:n], r, part(n, f.Rows), p.domain[n:])
	if err != nil {
		t.Fatal(err)
	}
	s := Samples{Posterior: h.Probabilities(f), Domain: p.domain, Names: names(r), Held: make([]bool, f.Rows)}
	for i := n; i < f.Rows; i++ {
		s.Held[i] = true
	}
	temperature, _, _ := Calibrate(&factor.Matrix{Rows: f.Rows - n, Cols: r, Data: s.Posterior.Data[n*r:]}, p.domain[n:])
	Temper(s.Posterior, temperature)
	return s
}

func names(r int) []string {
	n := make([]string, r)
	for d := range n {
		n[d] = string(rune('a' + d%26))
	}
	return n
}

// l1 is the mean over domains of sum_y |found - true| shares, classes paired by of.
func l1(m Model, of []int, share *factor.Matrix) float64 {
	sum := 0.0
	for y, z := range of {
		for d := range share.Cols {
			sum += math.Abs(m.Prior[y][d] - share.Row(z)[d])
		}
	}
	return sum / float64(share.Cols)
}

// TestOppositeBlobs is the table of classes that features mislead about: means of five draws. The bars hold for m = K cells; more are
// reported.
func TestOppositeBlobs(t *testing.T) {
	const k, r = 4, 6
	n, seeds := 12000, uint64(5)
	if testing.Short() {
		n, seeds = 4000, 1
	}
	for _, c := range []struct{ alpha, bar float64 }{{0.5, 0.95}, {3, 0.9}, {10, 0.85}} {
		if testing.Short() && c.alpha > 0.5 {
			continue
		}
		var blind, accuracy, wide, wider, random, distance float64
		for seed := range seeds {
			p := plant(t.Context(), seed, k, r, n, c.alpha, troubled)
			s := p.samples(t)
			g, err := factor.KMeans(t.Context(), p.x, factor.KMeansConfig{K: k}, nil)
			if err != nil {
				t.Fatal(err)
			}
			share, _ := Accuracy(g.Of, p.class, k, k)
			blind += share / float64(seeds)
			for _, way := range []struct {
				cells  int
				method Method
				into   *float64
			}{{k, Separable, &accuracy}, {3 * k, Separable, &wide}, {8 * k, Separable, &wider}, {k, Random, &random}} {
				f, err := Find(t.Context(), s, Config{Classes: k, Cells: way.cells, Method: way.method, Force: true})
				if err != nil {
					t.Fatalf("alpha %g, seed %d: %v", c.alpha, seed, err)
				}
				a, of := Accuracy(f.Label, p.class, k, k)
				*way.into += a / float64(seeds)
				if way.into == &accuracy {
					distance += l1(f.Model, of, p.share) / float64(seeds)
				}
			}
		}
		t.Logf("alpha %-4g k-means %.3f  separable m=K %.3f  m=3K %.3f  m=8K %.3f  random m=K %.3f  L1 %.3f", c.alpha, blind, accuracy, wide, wider, random, distance)
		if accuracy < c.bar || blind > 0.6 {
			t.Errorf("alpha %g: accuracy %.3f, want %.2f; k-means %.3f, want 0.6 at most", c.alpha, accuracy, c.bar, blind)
		}
	}
}
