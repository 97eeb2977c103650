package model

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"sparrow/internal/rng"
)

// TestSampler: the options restrict the draw as documented, and frequencies
// follow softmax(scores / temperature).
func TestSampler(t *testing.T) {
	scores := []float64{1, 3, 2, 3, -1}
	for name, c := range map[string]struct {
		s    Sampler
		want map[int]bool // tokens that may come
	}{
		"greedy, ties to the smaller": {Sampler{}, map[int]bool{1: true}},
		"all":                         {Sampler{Temperature: 3}, map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}},
		"top 1":                       {Sampler{Temperature: 1, TopK: 1}, map[int]bool{1: true}},
		"top 3":                       {Sampler{Temperature: 1, TopK: 3}, map[int]bool{1: true, 3: true, 2: true}},
		"top 99":                      {Sampler{Temperature: 5, TopK: 99}, map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}},
		"half":                        {Sampler{Temperature: 1, TopP: 0.5}, map[int]bool{1: true, 3: true}},
		"a little":                    {Sampler{Temperature: 1, TopP: 1e-9}, map[int]bool{1: true}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[int]bool{}
			for place := range 3000 {
				seen[c.s.Choose(scores, 0, place)] = true
			}
			for token := range seen {
				if !c.want[token] {
					t.Errorf("token %d came", token)
				}
			}
			if len(seen) != len(c.want) {
				t.Errorf("tokens %v came, want %v", seen, c.want)
			}
		})
	}
}

func TestSamplerFrequencies(t *testing.T) {
	scores := []float64{0, 1, -2, 0.5}
	const n, temperature = 200000, 0.7
	s := Sampler{Temperature: temperature, Seed: 3}
	counts := make([]float64, len(scores))
	for place := range n {
		counts[s.Choose(scores, 1, place)]++
	}
	var sum float64
	for _, x := range scores {
		sum += math.Exp(x / temperature)
	}
	for i, x := range scores {
		p := math.Exp(x/temperature) / sum
		if sd := math.Sqrt(p * (1 - p) / n); math.Abs(counts[i]/n-p) > 5*sd {
			t.Errorf("token %d: frequency %.4f, probability %.4f", i, counts[i]/n, p)
		}
	}
}

// TestSamplerSeeds: equal seeds draw equal tokens, other seeds and sequences
// others.
func TestSamplerSeeds(t *testing.T) {
	draw := func(s Sampler, sequence int) (out [50]int) {
		for i := range out {
			out[i] = s.Choose([]float64{0, 0, 0, 0, 0, 0}, sequence, i)
		}
		return out
	}
	s := Sampler{Temperature: 1, Seed: 1}
	if first, again := draw(s, 0), draw(s, 0); first != again {
		t.Error("equal seeds differ")
	}
	if draw(s, 0) == draw(Sampler{Temperature: 1, Seed: 2}, 0) || draw(s, 0) == draw(s, 1) {
		t.Error("other seeds or sequences do not differ")
	}
}

// TestSamplerAsTransformers: penalty, temperature, top-k, top-p and min-p leave the tokens and the probabilities that the
// processors of transformers leave.
func TestSamplerAsTransformers(t *testing.T) {
	text, err := os.ReadFile("testdata/sampler.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Scores []float32
		Text   []int
		Cases  []struct {
			Options struct {
				Temperature float64
				TopK        int     `json:"top_k"`
				TopP        float64 `json:"top_p"`
				MinP        float64 `json:"min_p"`
				Penalty     float64 `json:"repetition_penalty"`
			}
			Probabilities map[int]float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 9 {
		t.Fatalf("%d cases, want 9", len(golden.Cases))
	}
	const tolerance = 2e-6 // transformers sums in float32
	for _, c := range golden.Cases {
		s := Sampler{Temperature: c.Options.Temperature, TopK: c.Options.TopK, TopP: c.Options.TopP, MinP: c.Options.MinP, RepetitionPenalty: c.Options.Penalty}
		scores := slices.Clone(golden.Scores)
		if s.Penalizes() {
			s.Penalize(scores, golden.Text[:5], golden.Text[5:])
		}
		wide := make([]float64, len(scores))
		for i, x := range scores {
			wide[i] = float64(x)
		}
		r := newRanking(wide, s.Temperature)
		n, sum := s.restrict(r)
		var prob []float64
		for i := range n {
			prob = append(prob, r.probability(i))
		}
		order := r.order[:n]
		if len(order) != len(c.Probabilities) {
			t.Errorf("%+v: %d tokens may come, want %d", c.Options, len(order), len(c.Probabilities))
			continue
		}
		for i, token := range order {
			if want, ok := c.Probabilities[token]; !ok || math.Abs(prob[i]/sum-want) > tolerance {
				t.Errorf("%+v: token %d has probability %g, want %g", c.Options, token, prob[i]/sum, want)
			}
		}
	}
}

// TestRanking: tokens come in the order of a full sort, also forbidden ones and those that tie.
func TestRanking(t *testing.T) {
	drawn := make([]float64, 3000)
	rng.FillNormal(rng.New(1, "scores", 0), drawn, 0, 5)
	for _, temperature := range []float64{0.01, 0.7, 1, 30} {
		scores := make([]float64, 3000)
		for i := range scores {
			scores[i] = math.Round(8*drawn[i]) / 8 // with ties
			if i%7 == 0 {
				scores[i] = math.Inf(-1)
			}
		}
		want := make([]int, len(scores))
		for i := range want {
			want[i] = i
		}
		slices.SortStableFunc(want, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		r := newRanking(scores, temperature)
		for i := range want {
			if p := r.probability(i); r.order[i] != want[i] || p != math.Exp((scores[want[i]]-r.top)/temperature) {
				t.Fatalf("temperature %g: place %d has token %d of %g, want %d", temperature, i, r.order[i], p, want[i])
			}
		}
	}
}

// TestNucleusIsExact: the estimate of the sum is as good as is said, and what may be drawn, and its sum, are to the last bit those of
// the sum itself, also where a share ends within the estimate's error.
func TestNucleusIsExact(t *testing.T) {
	drawn := make([]float64, 2000)
	asked := 0
	for seed := range uint64(40) {
		rng.FillNormal(rng.New(seed, "scores", 0), drawn, 0, 1+float64(seed%7))
		scores := slices.Clone(drawn)
		for i := range scores {
			if i%(2+int(seed%5)) == 0 {
				scores[i] = math.Inf(-1)
			}
		}
		for _, temperature := range []float64{1e-310, 0.01, 0.5, 0.8, 1, 3, 1e4} {
			total, top := 0.0, slices.Max(scores)
			for _, x := range scores {
				total += math.Exp((x - top) / temperature)
			}
			r := newRanking(scores, temperature)
			if about := r.about(); math.Abs(about-total) > aboutError*total {
				t.Fatalf("seed %d, temperature %g: a sum of %g is estimated as %g", seed, temperature, total, about)
			}
			shares := []float64{0.1, 0.5, 0.95, 0.999999999}
			reached := 0.0
			for i := range 20 { // shares that are reached by a hair, or missed by one
				reached += r.probability(i)
				shares = append(shares, math.Nextafter(reached/total, 0), reached/total, math.Nextafter(reached/total, 1), reached/total*(1+2e-6))
			}
			for _, share := range shares {
				if share >= 1 {
					continue
				}
				n, sum := len(scores), total
				reached := 0.0
				for i := range scores {
					if reached += r.probability(i); reached >= share*total {
						n, sum = i+1, reached
						break
					}
				}
				of := newRanking(scores, temperature)
				gotN, gotSum := Sampler{Temperature: temperature, TopP: share}.restrict(of)
				if gotN != n || gotSum != sum {
					t.Errorf("seed %d, temperature %g, share %g: %d tokens of %g; want %d of %g", seed, temperature, share, gotN, gotSum, n, sum)
				}
				of.nucleus(len(scores), share, of.about(), aboutError, func() float64 { asked++; return total })
			}
		}
	}
	if asked == 0 {
		t.Error("the sum itself is never asked for: the test shows little")
	}
}

// BenchmarkChoose draws from a vocabulary as large as that of SmolLM2.
func BenchmarkChoose(b *testing.B) {
	scores := make([]float64, 49152)
	rng.FillNormal(rng.New(1, "scores", 0), scores, 0, 3)
	for name, s := range map[string]Sampler{"greedy": {}, "all": {Temperature: 0.8}, "top_p": {Temperature: 0.8, TopP: 0.95}, "top_k": {Temperature: 0.8, TopK: 50}} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				s.Choose(scores, 0, i)
			}
		})
	}
}
