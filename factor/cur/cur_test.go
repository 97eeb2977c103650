package cur

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// scores draws a score matrix as a cross-encoder makes them: 4 tanh((q.i + bias)/4) and noise, over 40 latent numbers of falling
// scale.
func scores(m, n int, noise float64, seed uint64) *factor.Matrix {
	const latent = 40
	x := rng.New(seed, "cur test", 0)
	queries, items := factor.NewMatrix(m, latent), factor.NewMatrix(latent, n)
	rng.FillNormal(x, queries.Data, 0, 1)
	rng.FillNormal(x, items.Data, 0, 1)
	bias := make([]float64, n)
	rng.FillNormal(x, bias, 0, 0.7)
	for j := range latent {
		for i := range items.Row(j) {
			items.Row(j)[i] *= 0.8 * math.Pow(0.9, float64(j))
		}
	}
	a := queries.Mul(items)
	rough := make([]float64, len(a.Data))
	rng.FillNormal(x, rough, 0, noise)
	for i, v := range a.Data {
		a.Data[i] = 4*math.Tanh((v+bias[i%n])/4) + rough[i]
	}
	return a
}

func split(a *factor.Matrix, m int) (r, rest *factor.Matrix) {
	r = &factor.Matrix{Rows: m, Cols: a.Cols, Data: a.Data[:m*a.Cols]}
	return r, &factor.Matrix{Rows: a.Rows - m, Cols: a.Cols, Data: a.Data[m*a.Cols:]}
}

func relative(got []float64, want *factor.Matrix) float64 {
	d := &factor.Matrix{Rows: want.Rows, Cols: want.Cols, Data: slices.Clone(got)}
	for i, v := range want.Data {
		d.Data[i] -= v
	}
	return d.Norm() / want.Norm()
}

// top are the k best of some places by value.
func top(x []float64, places []int, k int) []int {
	p := slices.Clone(places)
	slices.SortStableFunc(p, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return p[:k]
}

func every(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// TestSyntheticRecall: a twentieth of the items is scored, and at least 85% of the ten best are found; as many anchors as known rows,
// where the pseudo-inverse fails, are no trouble to a ridge.
func TestSyntheticRecall(t *testing.T) {
	const m, n, tests = 300, 4000, 60
	r, x := split(scores(m+tests, n, 0.3, 1), m)
	ctx := t.Context()
	index, err := Choose(ctx, r, 100, Options{How: Random, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Fit(ctx, r, index, Config{Method: Ridge, Centre: true})
	if err != nil {
		t.Fatal(err)
	}
	guesses, found := predictions(f, x), 0
	for q := range tests {
		guess := slices.Clone(guesses[q*n : (q+1)*n])
		for _, c := range index {
			guess[c] = math.Inf(1) // scored already
		}
		scored := top(guess, every(n), 200)
		best := top(x.Row(q), scored, 10)
		for _, c := range top(x.Row(q), every(n), 10) {
			if slices.Contains(best, c) {
				found++
			}
		}
	}
	recall := float64(found) / (10 * tests)
	t.Logf("recall@10 at a budget of 5%%: %.3f, lambda %v", recall, f.Lambda)
	if recall < 0.85 {
		t.Errorf("recall@10 %.3f at a budget of 5%%, want 0.85 at least", recall)
	}
	square, err := Choose(ctx, r, m, Options{How: Random, Seed: 6})
	if err != nil {
		t.Fatal(err)
	}
	errs := map[Method]float64{}
	for _, method := range []Method{Pinv, Ridge} {
		f, err := Fit(ctx, r, square, Config{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		errs[method] = relative(predictions(f, x), x)
	}
	t.Logf("as many anchors as rows: relative error %v", errs)
	if errs[Ridge] >= 0.5 || errs[Pinv] < 2 {
		t.Errorf("as many anchors as rows: relative error %v, want ridge below 0.5 and the pseudo-inverse above 2", errs)
	}
}

// TestChosenRidge: the ridge chosen on known rows is within 5% of the best fixed one on new ones.
func TestChosenRidge(t *testing.T) {
	for _, k := range []int{20, 60, 110} {
		for seed := range uint64(3) {
			r, x := split(scores(120+40, 500, 0.3, 20+seed), 120)
			index, err := Choose(t.Context(), r, k, Options{How: Random, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			f, err := Fit(t.Context(), r, index, Config{Method: Ridge, Centre: true})
			if err != nil {
				t.Fatal(err)
			}
			got, best := relative(predictions(f, x), x), math.Inf(1)
			for _, lambda := range Lambdas {
				g, err := Fit(t.Context(), r, index, Config{Method: Ridge, Lambda: lambda, Centre: true})
				if err != nil {
					t.Fatal(err)
				}
				best = min(best, relative(predictions(g, x), x))
			}
			if got > 1.05*best {
				t.Errorf("%d anchors, seed %d: error %.4f with the ridge chosen, %.4f with the best", k, seed, got, best)
			}
		}
	}
}

// TestExact: of a matrix of rank r, r anchors that are independent give every row back; and the oracle is no worse than either link.
func TestExact(t *testing.T) {
	x := rng.New(4, "exact", 0)
	left, right := factor.NewMatrix(30, 6), factor.NewMatrix(6, 50)
	rng.FillNormal(x, left.Data, 0, 1)
	rng.FillNormal(x, right.Data, 0, 1)
	r, rest := split(left.Mul(right), 20)
	for _, how := range Hows {
		index, err := Choose(t.Context(), r, 6, Options{How: how, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		f, err := Fit(t.Context(), r, index, Config{Method: Pinv})
		if err != nil {
			t.Fatal(err)
		}
		if e := relative(predictions(f, rest), rest); e > 1e-8 {
			t.Errorf("%s: relative error %.2g of a matrix of rank 6 by 6 anchors", how, e)
		}
	}
	a := scores(60, 90, 0.3, 9)
	r, _ = split(a, 30)
	index, err := Choose(t.Context(), r, 15, Options{How: Strong})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Oracle(t.Context(), a, every(30), index)
	if err != nil {
		t.Fatal(err)
	}
	least := relative(o.Data, a)
	for _, cfg := range []Config{{Method: Pinv}, {Method: Ridge, Lambda: 0.1}} {
		f, err := Fit(t.Context(), r, index, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if e := relative(predictions(f, a), a); e < least-1e-12 {
			t.Errorf("%s has error %.4f, less than the oracle's %.4f", cfg.Method, e, least)
		}
	}
}

// TestAnchors: every way gives as many different columns as asked, the same again for the same seed; RRQR's are better conditioned than
// random ones.
func TestAnchors(t *testing.T) {
	r := scores(40, 200, 0.1, 3)
	cond := map[How]float64{}
	for _, how := range Hows {
		for _, k := range []int{1, 30, 40, 80, 200} {
			a, err := Choose(t.Context(), r, k, Options{How: how, Seed: 2})
			if err != nil {
				t.Fatal(how, k, err)
			}
			b, err := Choose(t.Context(), r, k, Options{How: how, Seed: 2})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a, b) || len(a) != k || checkIndex(r, a) != nil {
				t.Errorf("%s: %d anchors are %v, and again %v", how, k, a, b)
			}
			if k == 30 {
				f, err := Fit(t.Context(), r, a, Config{Method: Pinv})
				if err != nil {
					t.Fatal(err)
				}
				cond[how] = f.Cond
			}
		}
	}
	if cond[Strong] > cond[Random] || cond[Pivoted] > cond[Random] {
		t.Errorf("condition of the anchors %v; want those by QR below random ones", cond)
	}
}

// TestAdaptive: a row that is seen bit by bit is predicted as by Fit with the same ridge, and a fork as if it had seen all itself.
func TestAdaptive(t *testing.T) {
	r, x := split(scores(32, 70, 0.2, 8), 30)
	rows := NewRows(r)
	index, err := Choose(t.Context(), r, 45, Options{How: Random}) // more than there are rows
	if err != nil {
		t.Fatal(err)
	}
	const lambda = 0.1
	a := rows.Start(lambda)
	var values []float64
	for _, c := range index {
		if err := a.See(c, x.Row(0)[c]); err != nil {
			t.Fatal(err)
		}
		values = append(values, x.Row(1)[c])
	}
	b := a.Fork(values)
	for c := range 70 { // the fork goes on by itself
		if !slices.Contains(index, c) {
			if err := b.See(c, x.Row(1)[c]); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for q, seen := range []*Adaptive{a, b} {
		got := make([]float64, x.Cols)
		seen.Predict(got)
		// The equation, solved by QR: [W; root(lambda) I] coefficients = [R; 0].
		k := len(seen.index)
		centred, mean := Centred(r)
		w := centred.Columns(seen.index)
		mine := 0.0
		for _, v := range w.Data {
			mine += v * v
		}
		f, err := Fit(t.Context(), r, seen.index[:k], Config{Method: Ridge, Centre: true, Lambda: lambda * rows.squares / (mine / float64(k))})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, x.Cols)
		var own []float64
		for _, c := range seen.index {
			own = append(own, x.Row(q)[c])
		}
		f.Predict(want, own)
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-9 {
				t.Fatalf("row %d, column %d: %v, want %v (mean %v)", q, i, got[i], want[i], mean[i])
			}
		}
	}
}

// TestCholesky: after borders and squares the factor solves the whole system, and a border that adds nothing is refused.
func TestCholesky(t *testing.T) {
	const n = 12
	x := rng.New(1, "cholesky", 0)
	a := factor.NewMatrix(n, n)
	rng.FillNormal(x, a.Data, 0, 1)
	a = a.Mul(a.Transpose())
	c := &Cholesky{}
	for i := range n {
		if err := c.Append(a.Row(i)[:i], a.Row(i)[i]+0.5); err != nil {
			t.Fatal(err)
		}
	}
	v := make([]float64, n)
	for range 3 {
		rng.FillNormal(x, v, 0, 1)
		for i := range n {
			for j := range n {
				a.Row(i)[j] += v[i] * v[j]
			}
		}
		c.Update(slices.Clone(v))
	}
	check := func(c *Cholesky, a *factor.Matrix, ridge float64) {
		t.Helper()
		want, b := make([]float64, n), make([]float64, n)
		rng.FillNormal(x, want, 0, 1)
		for i := range n {
			b[i] = ridge * want[i]
			for j := range n {
				b[i] += a.Row(i)[j] * want[j]
			}
		}
		c.Solve(b)
		for i := range n {
			if math.Abs(b[i]-want[i]) > 1e-8 {
				t.Fatalf("solution %v, want %v", b, want)
			}
		}
	}
	check(c, a, 0.5)
	d, square := Scaled(n, 2), factor.NewMatrix(n, n)
	d.Update(slices.Clone(v))
	for i := range n {
		for j := range n {
			square.Row(i)[j] = v[i] * v[j]
		}
	}
	check(d, square, 2)
	e := &Cholesky{}
	if err := e.Append(nil, 4); err != nil {
		t.Fatal(err)
	}
	if err := e.Append([]float64{2}, 1); !errors.Is(err, factor.ErrConverge) || e.Size() != 1 {
		t.Errorf("a border without a direction of its own: %v, size %d", err, e.Size())
	}
}

func TestErrors(t *testing.T) {
	r := scores(5, 8, 0.1, 1)
	for name, call := range map[string]func() error{
		"no anchors":     func() error { _, err := Fit(t.Context(), r, nil, Config{Method: Ridge}); return err },
		"anchor twice":   func() error { _, err := Fit(t.Context(), r, []int{1, 1}, Config{Method: Ridge}); return err },
		"anchor outside": func() error { _, err := Fit(t.Context(), r, []int{8}, Config{Method: Ridge}); return err },
		"no such method": func() error { _, err := Fit(t.Context(), r, []int{1}, Config{Method: "best"}); return err },
		"too many":       func() error { _, err := Choose(t.Context(), r, 9, Options{How: Random}); return err },
		"no such way":    func() error { _, err := Choose(t.Context(), r, 2, Options{How: "best"}); return err },
		"rows outside":   func() error { _, err := Oracle(t.Context(), r, []int{5}, []int{1}); return err },
		"no matrix":      func() error { _, err := LeaveOneOut(t.Context(), nil, []int{0}, Lambdas, true); return err },
	} {
		if err := call(); !errors.Is(err, factor.ErrShape) {
			t.Errorf("%s: %v, want %v", name, err, factor.ErrShape)
		}
	}
	if _, err := Fit(t.Context(), r, []int{1}, Config{Method: Ridge, Lambda: math.NaN()}); !errors.Is(err, factor.ErrWeight) {
		t.Errorf("a ridge that is no number: %v", err)
	}
	if k := Rank([]float64{3, 2, 1}, 0.9); k != 2 {
		t.Errorf("rank %d has 90%% of the energy of 9+4+1, want 2", k)
	}
}
