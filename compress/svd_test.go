package compress

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/task"
)

// randomStatistics are as calibration might find them for a weight [out, in]: uneven, and inputs that correlate.
func randomStatistics(r *rand.Rand, out, in int) *Statistics {
	s := &Statistics{Rows: make([]float64, out), Cols: make([]float64, in), Entries: make([]float64, out*in), Size: make([]float64, in)}
	x := randomMatrix(r, 3*in, in)
	for i := range x.Rows {
		for j := range in {
			x.Row(i)[j] = (x.Row(i)[j] + 0.5*x.Row(i)[0]) * float64(1+j%3)
			s.Size[j] += math.Abs(x.Row(i)[j]) / float64(x.Rows)
		}
	}
	s.Moment = newTriangle(in)
	s.Moment.pack(x.Transpose().Mul(x).Data, in)
	for i := range s.Moment {
		s.Moment[i] /= float64(x.Rows)
	}
	for i := range s.Entries {
		f := math.Exp(2*r.NormFloat64()) / float64(1+i%in)
		s.Entries[i] = f
		s.Rows[i/in] += f
		s.Cols[i%in] += f
	}
	return s
}

func randomMatrix(r *rand.Rand, rows, cols int) *factor.Matrix {
	m := factor.NewMatrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

// lowRankMethods are those whose layers become low_rank.
var lowRankMethods = []string{"svd", "fwsvd", "tfwsvd", "svd_llm", "asvd", "auto"}

// TestOptionsPredictWhatIsStored: for each low-rank method, each shape and each rank, the predicted loss is the measure of
// the error of the factors, and bytes are those of the factors; full rank gives the weight back.
func TestOptionsPredictWhatIsStored(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(4, 1))
	for _, shape := range [][2]int{{12, 9}, {7, 16}, {10, 10}} {
		target := Target{Name: "x", Out: shape[0], In: shape[1]}
		w, s := randomMatrix(r, target.Out, target.In), randomStatistics(r, target.Out, target.In)
		for _, name := range lowRankMethods {
			m := tried{name, DefaultConfig().Compress}
			options, _, err := m.options(ctx, target, w, s)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range options[:len(options)-1] {
				form, err := m.apply(ctx, target, w, s, o)
				if err != nil {
					t.Fatal(err)
				}
				got := importanceOf(w, s).quality(w, form.product(target))
				if name != "tfwsvd" && !near(got.Loss, o.Loss, 1e-5, 1e-12) {
					t.Errorf("%s %v rank %d: stored loss %g, predicted %g", name, shape, o.Rank, got.Loss, o.Loss)
				}
				bytes := 0
				for _, a := range form.Arrays {
					bytes += valueBytes * len(a.Data.([]float32))
				}
				if bytes != o.Bytes || bytes >= valueBytes*target.DenseParams() || i > 0 && o.Bytes <= options[i-1].Bytes {
					t.Errorf("%s %v rank %d: %d bytes are stored, the option says %d, dense are %d", name, shape, o.Rank, bytes, o.Bytes, valueBytes*target.DenseParams())
				}
			}
			full, err := m.apply(ctx, target, w, s, Option{Method: "fwsvd", Rank: min(target.Out, target.In)})
			if err != nil {
				t.Fatal(err)
			}
			if e := importanceOf(w, s).quality(w, full.product(target)).Relative; e > 1e-5 {
				t.Errorf("%s %v: full rank has a relative error of %g", name, shape, e)
			}
		}
	}
}

// TestWeightedIsOptimal: no small change of FWSVD's factors lowers the predicted loss, and SVD's is not lower; under equal
// weights the two are the same.
func TestWeightedIsOptimal(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(8, 1))
	target := Target{Name: "x", Out: 14, In: 11}
	w, s := randomMatrix(r, 14, 11), randomStatistics(r, 14, 11)
	cfg := DefaultConfig().Compress
	o := Option{Rank: 4}
	product := func(method string, s *Statistics) *factor.Matrix {
		form, err := tried{method, cfg}.apply(ctx, target, w, s, o)
		if err != nil {
			t.Fatal(err)
		}
		return form.product(target)
	}
	measure := importanceOf(w, s)
	best := measure.of(difference(w, product("fwsvd", s)))
	if plain := measure.of(difference(w, product("svd", s))); plain <= best {
		t.Errorf("SVD's weighted error %g, want more than FWSVD's %g", plain, best)
	}
	form, err := tried{"fwsvd", cfg}.apply(ctx, target, w, s, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		changed := Form{Linear: form.Linear}
		for _, a := range form.Arrays {
			x := append([]float32{}, a.Data.([]float32)...)
			for i := range x {
				x[i] += float32(1e-2 * r.NormFloat64())
			}
			a.Data = x
			changed.Arrays = append(changed.Arrays, a)
		}
		if e := measure.of(difference(w, changed.product(target))); e < best {
			t.Fatalf("a change of the factors has the error %g, FWSVD %g", e, best)
		}
	}
	flat := &Statistics{Rows: make([]float64, 14), Cols: make([]float64, 11)}
	for i := range flat.Rows {
		flat.Rows[i] = 11 * 0.3
	}
	for j := range flat.Cols {
		flat.Cols[j] = 14 * 0.3
	}
	if e := difference(product("fwsvd", flat), product("svd", flat)).Norm() / w.Norm(); e > 1e-6 {
		t.Errorf("equal weights: FWSVD differs from SVD by %g", e)
	}
}

// TestRowSides: row = in weighs inputs only, out outputs only.
func TestRowSides(t *testing.T) {
	s := &Statistics{Rows: []float64{1, 2}, Cols: []float64{3, 4, 5}}
	for row, want := range map[string][2]bool{"in": {false, true}, "out": {true, false}, "both": {true, true}} {
		cfg := DefaultConfig().Compress
		cfg.Row = row
		if w := fisherWeights(cfg.Row, cfg.Floor, s); (w.Rows != nil) != want[0] || (w.Cols != nil) != want[1] {
			t.Errorf("row = %s: rows %v, columns %v", row, w.Rows, w.Cols)
		}
	}
}

// TestWhiteningIsOptimal: SVD-LLM's truncation has the least error on the inputs, which is the energy left out.
func TestWhiteningIsOptimal(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(5, 5))
	w, s := randomMatrix(r, 9, 12), randomStatistics(r, 9, 12)
	moment := s.Moment.Square(12)
	onInputs := func(b *factor.Matrix) float64 { // tr(E M Eᵀ)
		e := difference(w, b)
		em, sum := e.Mul(moment), 0.0
		for i, x := range e.Data {
			sum += x * em.Data[i]
		}
		return sum
	}
	errors := map[string]float64{}
	for _, name := range []string{"svd", "asvd", "svd_llm"} {
		form, err := tried{name, DefaultConfig().Compress}.apply(ctx, Target{Out: 9, In: 12}, w, s, Option{Rank: 3})
		if err != nil {
			t.Fatal(err)
		}
		errors[name] = onInputs(form.product(Target{Out: 9, In: 12}))
	}
	if errors["svd_llm"] >= errors["svd"] || errors["svd_llm"] >= errors["asvd"] {
		t.Errorf("errors on the inputs %v, want the least for svd_llm", errors)
	}
	d, err := SVDLLM{DefaultConfig().Compress.Floor}.decompose(ctx, w, s, 9)
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for i := range 12 {
		mean += moment.Data[i*13] / 12
	}
	left := 0.0
	for _, v := range d.S[3:] {
		left += v * v * mean
	}
	if math.Abs(left-errors["svd_llm"]) > 1e-5*left {
		t.Errorf("error on the inputs %g, energy left out %g", errors["svd_llm"], left)
	}
}

// TestEntrywiseBettersItsStart: TFWSVD's error under each weight's own Fisher information is at most FWSVD's.
func TestEntrywiseBettersItsStart(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(6, 5))
	target := Target{Out: 12, In: 10}
	w, s := randomMatrix(r, 12, 10), randomStatistics(r, 12, 10)
	of := func(method string) float64 {
		form, err := tried{method, DefaultConfig().Compress}.apply(ctx, target, w, s, Option{Rank: 3})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, e := range difference(w, form.product(target)).Data {
			sum += s.Entries[i] * e * e
		}
		return sum
	}
	if entrywise, start := of("tfwsvd"), of("fwsvd"); entrywise >= start {
		t.Errorf("entrywise error %g, want less than %g, where it started", entrywise, start)
	}
}

// TestMagnitude: the largest N of every M stay, zeros where there are no others; the layer holds just them, the identity and
// their places; and groups that do not divide the inputs are refused.
func TestMagnitude(t *testing.T) {
	m, of := Magnitude{Group: 4}, tried{"magnitude", DefaultConfig().Compress}
	w := &factor.Matrix{Rows: 2, Cols: 8, Data: []float64{1, -3, 2, 0.5, 7, 8, 0, 6, 0, 0, 5, 0, -1, 0, 0, 2}}
	want := []float64{0, -3, 2, 0, 7, 8, 0, 0, 0, 0, 5, 0, -1, 0, 0, 2}
	got := m.prune(w, 2)
	for i := range want {
		if got.Data[i] != want[i] {
			t.Fatalf("pruned %v, want %v", got.Data, want)
		}
	}
	target := Target{Name: "layer", Out: 2, In: 8}
	options, _, err := of.options(context.Background(), target, w, &Statistics{})
	if err != nil {
		t.Fatal(err)
	}
	if len(options) != 1 {
		t.Errorf("%v, want dense only: the identity of 16 values is as large as the layer", options)
	}
	tall := Target{Out: 32, In: 8}
	if options, _, err = of.options(context.Background(), tall, factor.NewMatrix(32, 8), &Statistics{}); err != nil {
		t.Fatal(err)
	}
	if o := options[1]; o.Nonzeros != 2 || o.Params != 128+16 || o.Bytes != 4*(128+16)+128*2/8 {
		t.Errorf("2 of 4: got %+v, want 144 values in 608 bytes", o)
	}
	form, err := of.apply(context.Background(), target, w, &Statistics{}, Option{Nonzeros: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p := form.product(target); !slices.Equal(p.Data, want) || len(form.Arrays[1].Data.([]float32)) != 8 {
		t.Errorf("the form stands for %v in %d values, want %v in 8", p.Data, len(form.Arrays[1].Data.([]float32)), want)
	}
	if _, _, err := of.options(context.Background(), Target{Name: "odd", Out: 2, In: 6}, w, &Statistics{}); !errors.Is(err, task.ErrUsage) ||
		!strings.Contains(err.Error(), "odd: [compress] group = 4 does not divide the 6 inputs of [2, 6]") {
		t.Errorf("6 inputs: %v", err)
	}
	if _, _, ok := crowded(got, 2, 4); ok {
		t.Error("pruned weights are crowded")
	}
	if row, group, ok := crowded(w, 2, 4); !ok || row != 0 || group != 0 {
		t.Errorf("crowded = %d, %d, %t; want the first group", row, group, ok)
	}
}

// TestTriangle: a symmetric matrix that is packed and unpacked is itself, and one that [kernel.Gemm] adds to stays symmetric to the bit,
// whatever its width, so that a triangle holds all of it.
func TestTriangle(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for _, n := range []int{1, 2, 7, 16, 33, 65, 129, 200} {
		whole := make([]float64, n*n)
		for _, rows := range []int{1, 5, 300} {
			x := randomMatrix(r, rows, n)
			packed := newTriangle(n)
			packed.pack(whole, n)
			got := packed.Square(n)
			if !slices.Equal(got.Data, whole) {
				t.Fatalf("width %d, %d rows: packed and unpacked, a moment is another", n, rows)
			}
			kernel.Gemm(true, false, n, n, rows, 1, x.Data, n, x.Data, n, 1, whole, n)
		}
		for i := range n {
			for j := range i {
				if whole[i*n+j] != whole[j*n+i] {
					t.Fatalf("width %d: moment %d, %d is %g, and %g across", n, i, j, whole[i*n+j], whole[j*n+i])
				}
			}
		}
	}
}
