package recommend

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sparrow/factor"
	"sparrow/kernel"
)

// randomSets are users whose items come in groups.
func randomSets(users, items int) Sets {
	r := rand.New(rand.NewPCG(2, 9))
	s := Sets{Start: []int{0}, Columns: items}
	for u := range users {
		for i := range items {
			if p := r.Float64(); p < 0.12 || p < 0.5 && u%4 == i%4 {
				s.Items = append(s.Items, int32(i))
			}
		}
		s.Start = append(s.Start, len(s.Items))
	}
	return s
}

// dense is the matrix of zeros and ones.
func dense(s Sets) *factor.Matrix {
	x := factor.NewMatrix(s.Rows(), s.Columns)
	for u := range s.Rows() {
		for _, i := range s.Row(u) {
			x.Row(u)[i] = 1
		}
	}
	return x
}

// solveDense solves a x = b by elimination with pivots.
func solveDense(a *factor.Matrix, b []float64) []float64 {
	n, x := len(b), slices.Clone(b)
	m := a.Clone()
	for k := range n {
		p := k
		for i := k; i < n; i++ {
			if math.Abs(m.Row(i)[k]) > math.Abs(m.Row(p)[k]) {
				p = i
			}
		}
		for j := range n {
			m.Row(k)[j], m.Row(p)[j] = m.Row(p)[j], m.Row(k)[j]
		}
		x[k], x[p] = x[p], x[k]
		for i := k + 1; i < n; i++ {
			f := m.Row(i)[k] / m.Row(k)[k]
			for j := k; j < n; j++ {
				m.Row(i)[j] -= f * m.Row(k)[j]
			}
			x[i] -= f * x[k]
		}
	}
	for k := n - 1; k >= 0; k-- {
		for j := k + 1; j < n; j++ {
			x[k] -= m.Row(k)[j] * x[j]
		}
		x[k] /= m.Row(k)[k]
	}
	return x
}

// everybody are all users by what they have.
func everybody(s Sets) (who []Who) {
	for u := range s.Rows() {
		who = append(who, Who{User: u, Clicks: s.Row(u)})
	}
	return who
}

// easeOf solves EASE in so many rounds, and returns the losses.
func easeOf(t *testing.T, s Sets, lambda float64, byUsers, double bool, rounds int) (EASE, []float64) {
	t.Helper()
	n := s.Columns
	e := EASE{Lambda: lambda}
	if byUsers {
		n = s.Rows()
		e.Diagonal = make([]float32, s.Columns)
	}
	e.Matrix = make([]float32, n*n)
	if double {
		e.Rest = make([]float32, n*n)
	}
	users, losses := s.Transpose(), []float64(nil)
	for r := range rounds {
		loss, err := e.Round(s, users, r, rounds)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss)
	}
	return e, losses
}

// TestEASE: both forms score as the constrained ridge regression of each item on all others, solved one by one; the loss of the last
// round is its mean; blocks and threads change nothing.
func TestEASE(t *testing.T) {
	const lambda = 3.0
	for _, size := range [][2]int{{23, 31}, {40, 19}, {150, 145}} {
		s := randomSets(size[0], size[1])
		x, n := dense(s), s.Columns
		gram := x.Transpose().Mul(x)
		want, loss := make([][]float64, s.Rows()), 0.0
		for u := range want {
			want[u] = make([]float64, n)
		}
		for j := range n {
			if n > 100 && j%10 != 0 {
				continue
			}
			a, b := factor.NewMatrix(n-1, n-1), make([]float64, n-1)
			other := func(i int) int { return i + boolToInt(i >= j) }
			for p := range n - 1 {
				for q := range n - 1 {
					a.Row(p)[q] = gram.Row(other(p))[other(q)]
				}
				a.Row(p)[p] += lambda
				b[p] = gram.Row(other(p))[j]
			}
			beta := solveDense(a, b)
			for u := range want {
				for p, w := range beta {
					want[u][j] += w * x.Row(u)[other(p)]
				}
				d := x.Row(u)[j] - want[u][j]
				loss += d * d
			}
			for _, w := range beta {
				loss += lambda * w * w
			}
		}
		for _, byUsers := range []bool{false, true} {
			for _, double := range []bool{false, true} {
				e, losses := easeOf(t, s, lambda, byUsers, double, 4)
				got := make([]float32, s.Rows()*n)
				if err := e.Scorer(s).Score(got, everybody(s)); err != nil {
					t.Fatal(err)
				}
				tolerance := 2e-5
				switch {
				case byUsers:
					tolerance = 3e-4 // x less nearly all of itself, by lambda, in float32
				case double:
					tolerance = 2e-6 // the scores are float32
				}
				for u := range want {
					for j := range n {
						if n > 100 && j%10 != 0 {
							continue
						}
						if d := math.Abs(float64(got[u*n+j]) - want[u][j]); !(d <= tolerance) {
							t.Fatalf("%v by users %t, float64 %t: score[%d,%d] = %v, want %v", size, byUsers, double, u, j, got[u*n+j], want[u][j])
						}
					}
				}
				if !byUsers && n <= 100 && !(math.Abs(losses[3]-loss/float64(len(s.Items))) <= 1e-5) {
					t.Errorf("%v: loss %v, want %v", size, losses[3], loss/float64(len(s.Items)))
				}
				if !slices.IsSortedFunc(losses, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) {
					t.Errorf("losses %v do not fall", losses)
				}
				threads := kernel.Threads()
				kernel.SetThreads(3 - min(threads, 2))
				other, _ := easeOf(t, s, lambda, byUsers, double, 4)
				kernel.SetThreads(threads)
				if !slices.Equal(other.Matrix, e.Matrix) || !slices.Equal(other.Diagonal, e.Diagonal) {
					t.Errorf("%v by users %t: another number of threads gives other bits", size, byUsers)
				}
			}
		}
	}
	if _, err := (EASE{Lambda: -5, Matrix: make([]float32, 19*19)}).Round(randomSets(40, 19), randomSets(40, 19).Transpose(), 0, 1); err == nil {
		t.Error("a negative ridge: no error")
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestNeighbours: similarities and scores are those of the equation.
func TestNeighbours(t *testing.T) {
	s := randomSets(30, 17)
	x, users, shrink := dense(s), s.Transpose(), 2.5
	n := Neighbours{N: 17, K: 5, Nearest: make([]int32, 17*5), Similar: make([]float32, 17*5)}
	for part := range 3 {
		n.Find(s, users, shrink, 17*part/3, 17*(part+1)/3)
	}
	gram := x.Transpose().Mul(x)
	got := make([]float32, 30*17)
	if err := n.Score(got, everybody(s)); err != nil {
		t.Fatal(err)
	}
	for i := range 17 {
		sim := make([]float32, 17)
		for j := range 17 {
			if j != i && gram.Row(i)[j] > 0 {
				sim[j] = float32(gram.Row(i)[j] / (math.Sqrt(gram.Row(i)[i]*gram.Row(j)[j]) + shrink))
			}
		}
		top := Top(sim, 5, nil, nil)
		for u := range 30 {
			var want float64
			for _, a := range top {
				want += float64(a.Score) * x.Row(u)[a.Item]
			}
			if !(math.Abs(float64(got[u*17+i])-want) <= 1e-6) {
				t.Fatalf("score[%d,%d] = %v, want %v", u, i, got[u*17+i], want)
			}
		}
	}
}

// TestPower: subspace iteration ends at the projection onto the leading singular vectors of another decomposition, and at their share.
func TestPower(t *testing.T) {
	s := randomSets(40, 25)
	const r, d = 12, 4
	v := make([]float32, 25*r)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	var loss float64
	for round := range 30 {
		var err error
		if loss, err = Power(context.Background(), v, s, s.Transpose(), r, d, round == 29); err != nil {
			t.Fatal(err)
		}
	}
	x := dense(s)
	svd, err := factor.TruncatedSVD(context.Background(), x, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, got := svd.Product(), make([]float32, 40*25)
	if err := Projection(v, r).Score(got, everybody(s)); err != nil {
		t.Fatal(err)
	}
	left := float64(len(s.Items))
	for _, x := range svd.S {
		left -= x * x
	}
	if !(math.Abs(loss-left/float64(len(s.Items))) <= 1e-6) {
		t.Errorf("left out %v, want %v", loss, left/float64(len(s.Items)))
	}
	for i, x := range got {
		if w := want.Row(i / 25)[i%25]; !(math.Abs(float64(x)-w) <= 2e-4) {
			t.Fatalf("score %d = %v, want %v", i, x, w)
		}
	}
}

// TestWRMF: each row is the solution of its dense weighted ridge regression, in both precisions, and folding in a user's own items
// gives his row; a sweep does not raise what is minimised; threads change no bit.
func TestWRMF(t *testing.T) {
	s := randomSets(70, 33)
	w := WRMF{D: 5, Alpha: 4, Lambda: 0.7}
	random := rand.New(rand.NewPCG(8, 1))
	items := make([]float32, 33*w.D)
	for i := range items {
		items[i] = float32(random.NormFloat64())
	}
	for _, double := range []bool{false, true} {
		users := make([]float32, 70*w.D)
		if _, err := w.Half(users, items, s, double); err != nil {
			t.Fatal(err)
		}
		for _, u := range []int{0, 13, 69} {
			want := foldDense(w, items, s.Row(u), nil)
			for k, x := range want {
				if d := math.Abs(float64(users[u*w.D+k]) - x); !(d <= 3e-6) {
					t.Errorf("float64 %t: row %d: %v, want %v", double, u, users[u*w.D:(u+1)*w.D], want)
					break
				}
			}
		}
		threads := kernel.Threads()
		kernel.SetThreads(3 - min(threads, 2))
		again := make([]float32, len(users))
		_, err := w.Half(again, items, s, double)
		kernel.SetThreads(threads)
		if err != nil || !slices.Equal(again, users) {
			t.Errorf("float64 %t: another number of threads gives other bits (%v)", double, err)
		}
		before := objective(w, users, items, s)
		if _, err := w.Half(slices.Clone(items), users, s.Transpose(), double); err != nil {
			t.Fatal(err)
		}
		solved := slices.Clone(items)
		w.Half(solved, users, s.Transpose(), double)
		if after := objective(w, users, solved, s); !(after <= before) {
			t.Errorf("float64 %t: the sum rises from %v to %v", double, before, after)
		}
	}
	fold, near := NewFold(w, items), []float32{0.3, -0.2, 0.5, 0, 1}
	for _, start := range [][]float32{nil, near} {
		got := make([]float32, w.D)
		if err := fold.Vector(got, []int32{2, 5, 11}, start); err != nil {
			t.Fatal(err)
		}
		for k, x := range foldDense(w, items, []int32{2, 5, 11}, start) {
			if !(math.Abs(float64(got[k])-x) <= 3e-6) {
				t.Errorf("folded around %v: %v at %d, want %v", start, got[k], k, x)
			}
		}
	}
	if err := fold.Vector(near, []int32{33}, nil); err == nil {
		t.Error("an item that there is not: no error")
	}
}

// foldDense minimises Σ_S (1+α)(1 - u.v)² + Σ_{not S} (u.v - near.v)² + λ |u - near|² by its normal equations.
func foldDense(w WRMF, items []float32, clicks []int32, near []float32) []float64 {
	a, b := factor.NewMatrix(w.D, w.D), make([]float64, w.D)
	for i := 0; i < len(items); i += w.D {
		v := items[i : i+w.D]
		weight, target := 1.0, 0.0
		for k, x := range near {
			target += float64(x) * float64(v[k])
		}
		if slices.Contains(clicks, int32(i/w.D)) {
			weight, target = 1+w.Alpha, 1
		}
		for p := range v {
			for q := range v {
				a.Row(p)[q] += weight * float64(v[p]) * float64(v[q])
			}
			b[p] += weight * target * float64(v[p])
		}
	}
	for p := range w.D {
		a.Row(p)[p] += w.Lambda
		if near != nil {
			b[p] += w.Lambda * float64(near[p])
		}
	}
	return solveDense(a, b)
}

// objective is what WRMF minimises.
func objective(w WRMF, users, items []float32, s Sets) (sum float64) {
	n := len(items) / w.D
	for u := range s.Rows() {
		for i := range n {
			r := 0.0
			for k := range w.D {
				r += float64(users[u*w.D+k]) * float64(items[i*w.D+k])
			}
			if s.Has(u, int32(i)) {
				sum += (1 + w.Alpha) * (1 - r) * (1 - r)
			} else {
				sum += r * r
			}
		}
	}
	for _, x := range slices.Concat(users, items) {
		sum += w.Lambda * float64(x) * float64(x)
	}
	return sum
}
