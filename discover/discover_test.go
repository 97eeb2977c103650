package discover

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// exact are samples of a perfect network: examples of k classes that only their class tells apart, with some noise in what is said.
func exact(seed uint64, share *factor.Matrix, perDomain []int, noise float64) (Samples, []int) {
	k, r := share.Rows, share.Cols
	draw := rng.New(seed, "discover/exact", 0)
	s := Samples{Names: make([]string, r)}
	var class []int
	var rows [][]float64
	for d := range r {
		s.Names[d] = fmt.Sprintf("domain %d", d+1)
		for range perDomain[d] {
			u, y := draw.Float64(), 0
			for ; y < k-1; y++ {
				if u -= share.Row(y)[d]; u < 0 {
					break
				}
			}
			row := make([]float64, r)
			jitter := make([]float64, r)
			rng.FillNormal(draw, jitter, 0, noise)
			for e := range row {
				row[e] = math.Log(share.Row(y)[e]*float64(perDomain[e])+1e-9) + jitter[e]
			}
			softmax(row)
			rows = append(rows, row)
			class, s.Domain = append(class, y), append(s.Domain, d)
		}
	}
	s.Posterior = factor.NewMatrix(len(rows), r)
	for i, row := range rows {
		copy(s.Posterior.Row(i), row)
	}
	s.Sizes = perDomain
	return s, class
}

// even are r equal numbers.
func even(r, n int) []int {
	out := make([]int, r)
	for d := range out {
		out[d] = n
	}
	return out
}

var threeClasses = &factor.Matrix{Rows: 3, Cols: 4, Data: []float64{
	0.7, 0.1, 0.2, 0.4,
	0.2, 0.8, 0.1, 0.3,
	0.1, 0.1, 0.7, 0.3,
}}

func finite(t *testing.T, f *Found) {
	t.Helper()
	for name, m := range map[string]*factor.Matrix{"posterior": f.Posterior, "known": f.Known, "error": f.Error, "q": f.Q} {
		for i, v := range m.Data {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%s: value %d is %v", name, i, v)
			}
		}
	}
	for y, row := range f.Model.Prior {
		for d, v := range row {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("p(%d|%d) = %v", y, d, v)
			}
		}
	}
	for d := range f.Model.Domains {
		sum := 0.0
		for _, row := range f.Model.Prior {
			sum += row[d]
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("shares of domain %d sum to %v", d, sum)
		}
	}
	if err := f.Model.Check(); err != nil {
		t.Error(err)
	}
}

func TestFindOfPerfectNetwork(t *testing.T) {
	// Domains of different sizes: the network leans to the large ones, and must not.
	s, class := exact(1, threeClasses, []int{900, 300, 600, 200}, 0.1)
	f, err := Find(t.Context(), s, Config{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	finite(t, f)
	accuracy, of := Accuracy(f.Label, class, 3, 3)
	if distance := l1(f.Model, of, threeClasses); accuracy < 0.99 || distance > 0.1 {
		t.Errorf("accuracy %.3f, L1 %.3f; want 0.99 and 0.1", accuracy, distance)
	}
	if f.Spread < 3*f.Control {
		t.Errorf("spread %.3f, permuted %.3f", f.Spread, f.Control)
	}
	for y := range 3 {
		for d := range 4 {
			if e := f.Error.Row(y)[d]; e == 0 || e > 0.1 {
				t.Errorf("error of p(%d|%d) is %v", y, d, e)
			}
		}
	}
	if f.Rank.Classes != 3 || !f.Rank.Sure {
		t.Errorf("rank %+v", f.Rank)
	}
	again, err := Find(t.Context(), s, Config{})
	if err != nil || len(again.Model.Classes) != 3 {
		t.Errorf("as many as show: %v, %v", again, err)
	}
}

// TestRefusals: what the data cannot tell is refused in words that say why and what helps, and no number is NaN.
func TestRefusals(t *testing.T) {
	equal := &factor.Matrix{Rows: 2, Cols: 3, Data: []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5}}
	one, _ := exact(1, &factor.Matrix{Rows: 2, Cols: 1, Data: []float64{0.4, 0.6}}, []int{100}, 0.1)
	same, _ := exact(1, equal, even(3, 300), 0.3)
	three, _ := exact(2, threeClasses, even(4, 400), 0.1)
	few, _ := exact(3, threeClasses, even(4, 6), 0.1)
	absent := &factor.Matrix{Rows: 4, Cols: 4, Data: append(append([]float64(nil), threeClasses.Data...), 0, 0, 0, 0)}
	missing, _ := exact(4, absent, even(4, 400), 0.1)
	for _, c := range []struct {
		name string
		s    Samples
		cfg  Config
		want string
	}{
		{"one domain", one, Config{Classes: 2}, "there is 1 domain"},
		{"one domain, auto", one, Config{}, "want at least two"},
		{"equal shares", same, Config{Classes: 2}, "do not differ beyond chance"},
		{"equal shares, auto", same, Config{}, "do not differ beyond chance"},
		{"more classes than show", three, Config{Classes: 4}, "show 3 classes, fewer than 4"},
		{"more classes than domains", three, Config{Classes: 5}, "no more classes than such domains"},
		{"an absent class", missing, Config{Classes: 4}, "show 3 classes, fewer than 4"},
		{"small domains", few, Config{Classes: 3}, "0 of 4 domains have 20 examples or more"},
	} {
		f, err := Find(t.Context(), c.s, c.cfg)
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", c.name, f, err, c.want)
		}
	}
	// The same by force: some result, without NaN.
	for name, s := range map[string]Samples{"equal shares": same, "absent class": missing} {
		f, err := Find(t.Context(), s, Config{Classes: 3, Force: true})
		if err != nil {
			t.Errorf("%s by force: %v", name, err)
			continue
		}
		finite(t, f)
	}
	bad := three
	bad.Posterior = three.Posterior.Clone()
	bad.Posterior.Data[5] = math.NaN()
	if _, err := Find(t.Context(), bad, Config{Classes: 3}); !errors.Is(err, ErrInput) {
		t.Errorf("NaN: %v", err)
	}
	for _, cfg := range []Config{{Classes: 1}, {Classes: -1}, {Cells: -1}, {Method: "best"}} {
		if _, err := Find(t.Context(), three, cfg); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestSmallDomain: one of three examples has no say in the corners, and gets shares with a large error.
func TestSmallDomain(t *testing.T) {
	share := factor.NewMatrix(3, 5)
	for y := range 3 {
		copy(share.Row(y), threeClasses.Row(y))
		share.Row(y)[4] = []float64{1, 0, 0}[y]
	}
	s, class := exact(5, share, []int{500, 500, 500, 500, 3}, 0.1)
	f, err := Find(t.Context(), s, Config{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	finite(t, f)
	accuracy, of := Accuracy(f.Label, class, 3, 3)
	for y, z := range of {
		if e := f.Error.Row(y)[4]; e < 0.1 || e < 3*f.Error.Row(y)[0] {
			t.Errorf("error of class %d in the domain of three: %.3f", y, e)
		}
		if got := f.Model.Prior[y][4]; z == 0 && got < 0.5 {
			t.Errorf("share of its only class: %.3f", got)
		}
	}
	if accuracy < 0.98 || len(f.Notes) == 0 {
		t.Errorf("accuracy %.3f, notes %q", accuracy, f.Notes)
	}
}

// TestManyDomains: ten thousand domains of an example at most are too small one by one, and two hundred beside large ones are no harm.
func TestManyDomains(t *testing.T) {
	r := 10000
	s := Samples{Names: make([]string, r), Posterior: factor.NewMatrix(200, r)}
	for d := range r {
		s.Names[d] = fmt.Sprint(d)
	}
	for i := range s.Posterior.Rows {
		s.Domain = append(s.Domain, 50*i)
		s.Posterior.Row(i)[50*i] = 1
	}
	var refusal *Refusal
	if _, err := Find(t.Context(), s, Config{Classes: 3}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "join small domains") {
		t.Errorf("ten thousand domains: %v", err)
	}
	share, sizes := factor.NewMatrix(3, 204), even(204, 2)
	for d := range 204 {
		for y := range 3 {
			share.Row(y)[d] = threeClasses.Row(y)[d%4]
		}
		if d < 4 {
			sizes[d] = 500
		}
	}
	s, class := exact(6, share, sizes, 0.1)
	f, err := Find(t.Context(), s, Config{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	finite(t, f)
	if accuracy, _ := Accuracy(f.Label, class, 3, 3); accuracy < 0.95 {
		t.Errorf("accuracy %.3f", accuracy)
	}
}

// TestHeldOut: a network that knows its training examples by heart is counted on the others.
func TestHeldOut(t *testing.T) {
	s, class := exact(7, threeClasses, even(4, 400), 0.1)
	s.Held = make([]bool, len(class))
	for i := range s.Held {
		if s.Held[i] = i%2 == 0; !s.Held[i] {
			clearRow := s.Posterior.Row(i)
			for d := range clearRow {
				clearRow[d] = 0.01
			}
			clearRow[s.Domain[i]] = 0.97
		}
	}
	f, err := Find(t.Context(), s, Config{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	_, of := Accuracy(f.Label, class, 3, 3)
	if distance := l1(f.Model, of, threeClasses); distance > 0.15 {
		t.Errorf("L1 %.3f", distance)
	}
}

// TestAuto: the number of planted classes is found in at least eight of ten draws, and where it is not the command says so.
func TestAuto(t *testing.T) {
	right, wrong := 0, 0
	cases := 10
	n := 12000
	if testing.Short() {
		cases, n = 2, 6000
	}
	for seed := range cases {
		k := 2 + seed%3
		p := plant(t.Context(), uint64(100+seed), k, 6, n, 0.5, troubled)
		f, err := Find(t.Context(), p.samples(t), Config{})
		var r *Refusal
		switch {
		case err == nil && len(f.Model.Classes) == k:
			right++
		case errors.As(err, &r) && strings.Contains(err.Error(), "cannot be told"):
			t.Logf("case %d, %d classes: %v", seed, k, err)
		default:
			wrong++
			t.Errorf("case %d: %v, %+v, want %d classes", seed, err, f.Rank, k)
		}
	}
	if wrong == 0 && testing.Short() {
		return // two cases tell no share
	}
	if 10*right < 8*cases {
		t.Errorf("%d of %d right, %d wrong; want 8 of 10", right, cases, wrong)
	}
}

func TestMatchAgainstAllPairings(t *testing.T) {
	draw := rng.New(1, "discover/match", 0)
	for n := range 300 {
		rows, cols := 1+draw.Intn(5), 1+draw.Intn(5)
		counts := make([][]float64, rows)
		for i := range counts {
			counts[i] = make([]float64, cols)
			rng.FillUniform(draw, counts[i], 0, 10)
		}
		used := make([]bool, cols)
		var best func(i int) float64
		best = func(i int) float64 {
			if i == rows {
				return 0
			}
			most := best(i + 1)
			for j := range cols {
				if !used[j] {
					used[j] = true
					most = max(most, counts[i][j]+best(i+1))
					used[j] = false
				}
			}
			return most
		}
		got := 0.0
		taken := map[int]bool{}
		for i, j := range Match(counts) {
			if j >= 0 {
				if taken[j] {
					t.Fatalf("draw %d: %d is taken twice", n, j)
				}
				taken[j] = true
				got += counts[i][j]
			}
		}
		if want := best(0); math.Abs(got-want) > 1e-9 {
			t.Fatalf("draw %d: %v: got %g, want %g", n, counts, got, want)
		}
	}
}

func TestCalibrate(t *testing.T) {
	s, _ := exact(8, threeClasses, even(4, 500), 0)
	sure := s.Posterior.Clone()
	Temper(sure, 0.4) // as a network that is too sure
	temperature, before, after := Calibrate(sure, s.Domain)
	if math.Abs(temperature-2.5) > 0.25 || !(after < before) {
		t.Errorf("temperature %.3f, loss %.4f then %.4f; want about 2.5", temperature, before, after)
	}
	Temper(sure, 2.5)
	for i, v := range sure.Data {
		if math.Abs(v-s.Posterior.Data[i]) > 1e-9 {
			t.Fatalf("value %d: %g, want %g", i, v, s.Posterior.Data[i])
		}
	}
	if got := lossOf(s.Posterior, s.Domain); math.Abs(got-after) > 0.01 {
		t.Errorf("loss %.4f after, of the true answers %.4f", after, got)
	}
}

func TestHeadGradient(t *testing.T) {
	x := factor.NewMatrix(7, 3)
	rng.FillNormal(rng.New(1, "discover/head", 0), x.Data, 0, 1)
	p := &headProblem{x: x, domain: []int{0, 1, 2, 3, 0, 1, 2}, r: 4, decay: 0.1, logits: factor.NewMatrix(7, 4)}
	theta, g, scratch := make([]float64, 16), make([]float64, 16), make([]float64, 16)
	rng.FillNormal(rng.New(2, "discover/head", 0), theta, 0, 1)
	p.value(theta, g)
	for i := range theta {
		const h = 1e-5
		was := theta[i]
		theta[i] = was + h
		up := p.value(theta, scratch)
		theta[i] = was - h
		down := p.value(theta, scratch)
		theta[i] = was
		if want := (up - down) / (2 * h); math.Abs(g[i]-want) > 1e-8 {
			t.Errorf("parameter %d: %g, want %g", i, g[i], want)
		}
	}
}

func TestModelCheck(t *testing.T) {
	good := Model{Domains: []string{"a", "b"}, Kept: []int{0, 1}, Classes: []string{"x"}, Vertices: []Row{{0.5, 0.5}}, Prior: []Row{{1, 1}}, Temperature: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Model){
		"no domains":   func(m *Model) { m.Domains = nil },
		"kept":         func(m *Model) { m.Kept = []int{1, 0} },
		"kept outside": func(m *Model) { m.Kept = []int{0, 2} },
		"vertices":     func(m *Model) { m.Vertices = nil },
		"width":        func(m *Model) { m.Vertices = []Row{{1}} },
		"probability":  func(m *Model) { m.Prior = []Row{{1, 2}} },
		"temperature":  func(m *Model) { m.Temperature = 0 },
		"sizes":        func(m *Model) { m.Sizes = []int{1} },
	} {
		m := good
		spoil(&m)
		if err := m.Check(); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
