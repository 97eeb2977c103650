package kernel

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

type adamGolden struct {
	Name        string
	LR          float64
	Beta1       float64
	Beta2       float64
	Eps         float64
	WeightDecay float64 `json:"weight_decay"`
	GradScale   float64 `json:"grad_scale"`
	Float64     bool    `json:"float64"`
	W           []float64
	Grads, Ws   [][]float64
	M, V        []float64
}

// TestAdamWGolden replays five steps of torch.optim.AdamW (testdata/adamw).
func TestAdamWGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/adamw/adamw.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []adamGolden }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 3 {
		t.Fatalf("got %d cases, want 3", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.Float64 {
				replayAdamW(t, c, func(x []float64) []float64 { return slices.Clone(x) }, 1e-14)
				return
			}
			eachISA(t, func(t *testing.T) { replayAdamW(t, c, to32, 3e-7) })
		})
	}
}

func replayAdamW[T Float](t *testing.T, c adamGolden, convert func([]float64) []T, tolerance float64) {
	w := convert(c.W)
	m, v := make([]T, len(w)), make([]T, len(w))
	for step := range c.Grads {
		g := convert(c.Grads[step])
		before := slices.Clone(g)
		AdamWStep(AdamW{c.LR, c.Beta1, c.Beta2, c.Eps, c.WeightDecay, step + 1, c.GradScale}, w, m, v, g)
		if !slices.Equal(g, before) {
			t.Fatal("the gradient changed")
		}
		checkClose(t, "w", w, c.Ws[step], tolerance)
	}
	for i := range m {
		if math.Abs(float64(m[i])-c.M[i]) > 4*tolerance*math.Abs(c.M[i])+1e-12 || math.Abs(float64(v[i])-c.V[i]) > 4*tolerance*c.V[i] {
			t.Fatalf("moments at %d: got %v and %v, want %v and %v", i, m[i], v[i], c.M[i], c.V[i])
		}
	}
}

// TestAdamWLengths compares float32 steps of every length with the float64 kernel.
func TestAdamWLengths(t *testing.T) {
	const tolerance = 1e-6
	p := AdamW{LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Step: 3, GradScale: 0.5}
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(6, 1))
		for _, n := range lengths {
			var state [4][]float32
			var wide [4][]float64
			for i := range state {
				state[i] = randomValues(rng, n, false)
				for j, v := range state[i] {
					if i == 2 {
						v = 1 + v*v // a second moment
						state[i][j] = v
					}
					wide[i] = append(wide[i], float64(v))
				}
			}
			AdamWStep(p, state[0], state[1], state[2], state[3])
			AdamWStep(p, wide[0], wide[1], wide[2], wide[3])
			checkClose(t, "w", state[0], wide[0], tolerance)
			checkClose(t, "m", state[1], wide[1], tolerance)
			checkClose(t, "v", state[2], wide[2], tolerance)
		}
	})
}
