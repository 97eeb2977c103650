package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sbinet/npyio/npz"
)

// golden8 reads arrays of testdata/adamw8bit.
type golden8 struct {
	t *testing.T
	r *npz.Reader
}

func readGolden[T any](g golden8, name string) []T {
	g.t.Helper()
	var x []T
	if err := g.r.Read(name+".npy", &x); err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return x
}

func (g golden8) state(step int) AdamW8bitState {
	name := func(s string) string { return fmt.Sprint(s, step) }
	return AdamW8bitState{
		readGolden[uint8](g, name("mean")), readGolden[uint8](g, name("square")),
		readGolden[float32](g, name("mean_max")), readGolden[float32](g, name("square_max")),
	}
}

// TestAdamW8bitGolden takes each step of an independent implementation (see testdata/adamw8bit) from the state before it.
func TestAdamW8bitGolden(t *testing.T) {
	r, err := npz.Open("testdata/adamw8bit/golden.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	g := golden8{t, r}
	for name, b := range map[string]*codebook8{"signed": signedBook, "unsigned": unsignedBook} {
		if want := readGolden[float32](g, name); !slices.Equal(b.value[:], want) {
			t.Errorf("%s codes are %v, want %v", name, b.value, want)
		}
	}
	c := readGolden[float64](g, "settings")
	block := int(c[0])
	p := AdamW{LearningRate: c[1], Beta1: c[2], Beta2: c[3], Eps: c[4], WeightDecay: c[5], GradScale: 1}
	w := readGolden[float32](g, "w0")
	s := NewAdamW8bitState(len(w), block)
	for p.Step = 1; p.Step <= 5; p.Step++ {
		grad := readGolden[float32](g, fmt.Sprint("g", p.Step))
		AdamW8bitStep(p, block, w, s, grad)
		wantW, want := readGolden[float32](g, fmt.Sprint("w", p.Step)), g.state(p.Step)
		for i := range w {
			if d := math.Abs(float64(w[i] - wantW[i])); !(d <= 1e-6) {
				t.Fatalf("step %d: weight %d is %v, want %v", p.Step, i, w[i], wantW[i])
			}
		}
		for b := range s.MeanMax {
			a, q := float64(s.MeanMax[b]/want.MeanMax[b]), float64(s.SquareMax[b]/want.SquareMax[b])
			if s.MeanMax[b] != want.MeanMax[b] && !(math.Abs(a-1) < 1e-6) || s.SquareMax[b] != want.SquareMax[b] && !(math.Abs(q-1) < 1e-6) {
				t.Fatalf("step %d: scales of block %d are %v and %v, want %v and %v", p.Step, b, s.MeanMax[b], s.SquareMax[b], want.MeanMax[b], want.SquareMax[b])
			}
		}
		// A quotient within rounding of a threshold may fall on its other side: about one in 10^5.
		if a, b := codesDiffer(s.Mean, want.Mean), codesDiffer(s.Square, want.Square); a > 2 || b > 2 {
			t.Errorf("step %d: %d codes of means and %d of squares differ", p.Step, a, b)
		}
		w, s = wantW, want
	}
}
