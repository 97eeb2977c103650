package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"sparrow/task"
)

// curve is a layer's options: ranks whose loss falls by factors that the generator draws, then dense.
func curve(r *rand.Rand, out, in int) []Option {
	t := Target{Out: out, In: in}
	loss := r.Float64()
	var o []Option
	for rank := 1; rank*(in+out) < in*out; rank++ {
		n := rank * (in + out)
		o = append(o, Option{Method: "svd", Rank: rank, Params: n, Bytes: valueBytes * n, Loss: loss})
		loss *= r.Float64()
	}
	return append(o, dense(t))
}

func totals(options [][]Option, chosen []int) (bytes int, loss float64) {
	for l, i := range chosen {
		bytes += options[l][i].Bytes
		loss += options[l][i].Loss
	}
	return bytes, loss
}

// TestAllocateIsTight: for many budgets, uniform or not, the choice is within the budget, no step of any layer still fits,
// and no layer is larger than dense.
func TestAllocateIsTight(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for round := range 60 {
		var options [][]Option
		denseBytes, least := 0, 0
		for range 1 + r.IntN(6) {
			o := curve(r, 4+r.IntN(30), 4+r.IntN(30))
			options = append(options, o)
			denseBytes += o[len(o)-1].Bytes
			least += o[0].Bytes
		}
		limit := least + r.IntN(denseBytes-least+1)
		for _, uniform := range []bool{false, true} {
			b := Budget{"bytes", limit, denseBytes}
			chosen, err := allocate(options, b, uniform)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			bytes, _ := totals(options, chosen)
			if bytes > limit {
				t.Errorf("round %d, uniform %t: %d bytes of %d", round, uniform, bytes, limit)
			}
			for l, i := range chosen {
				if i+1 < len(options[l]) && options[l][i+1].Bytes-options[l][i].Bytes <= limit-bytes {
					t.Errorf("round %d, uniform %t: layer %d could take a step of %d bytes, %d are left", round, uniform, l, options[l][i+1].Bytes-options[l][i].Bytes, limit-bytes)
				}
			}
		}
	}
}

// TestAllocateNearsTheBest: the predicted loss is that of the best choice of all, found by trying all, or close to it.
func TestAllocateNearsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	best, worst := 0, 1.0
	const rounds = 40
	for range rounds {
		options := [][]Option{curve(r, 12, 16), curve(r, 16, 16), curve(r, 16, 12)}
		b := Budget{"bytes", 0, 0}
		for _, o := range options {
			b.Dense += o[len(o)-1].Bytes
		}
		b.Limit = b.Dense * (30 + r.IntN(60)) / 100
		chosen, err := allocate(options, b, false)
		if err != nil {
			t.Fatal(err)
		}
		_, got := totals(options, chosen)
		least := math.Inf(1)
		for i := range options[0] {
			for j := range options[1] {
				for k := range options[2] {
					if bytes, loss := totals(options, []int{i, j, k}); bytes <= b.Limit {
						least = min(least, loss)
					}
				}
			}
		}
		if got <= least*(1+1e-12) {
			best++
		}
		if least > 0 {
			worst = max(worst, got/least)
		}
	}
	t.Logf("best in %d of %d, at most %.2f times the least", best, rounds, worst)
	if best < rounds/2 || worst > 2 {
		t.Errorf("best in %d of %d rounds, want at least %d; at most %.2f times the least, want 2", best, rounds, rounds/2, worst)
	}
}

// TestUniformShares: layers of one size become the same, and each keeps about the share of the budget.
func TestUniformShares(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	options := [][]Option{curve(r, 64, 64), curve(r, 64, 64), curve(r, 64, 256)}
	b := Budget{"bytes", 0, valueBytes * (2*64*64 + 64*256)}
	b.Limit = b.Dense / 2
	chosen, err := allocate(options, b, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := chosen[0] - chosen[1]; d < -1 || d > 1 {
		t.Errorf("equal layers take options %d and %d", chosen[0], chosen[1])
	}
	for l, i := range chosen {
		o := options[l]
		if share := float64(o[i].Bytes) / float64(o[len(o)-1].Bytes); math.Abs(share-0.5) > 0.04 {
			t.Errorf("layer %d keeps %.3f, want about 0.5", l, share)
		}
	}
}

// TestAllocateInParameters: a budget in values counts values.
func TestAllocateInParameters(t *testing.T) {
	options := [][]Option{
		{{Method: "magnitude", Nonzeros: 1, Params: 4, Bytes: 30, Loss: 1}, {Method: "dense", Params: 16, Bytes: 64}},
		{{Method: "magnitude", Nonzeros: 1, Params: 4, Bytes: 30, Loss: 2}, {Method: "dense", Params: 16, Bytes: 64}},
	}
	chosen, err := allocate(options, Budget{"params", 20, 32}, false)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(chosen) != "[0 1]" {
		t.Errorf("chosen %v, want the layer that loses more to stay dense", chosen)
	}
}

// TestBudgets: a budget of each unit, one that is too small, and one that takes everything.
func TestBudgets(t *testing.T) {
	ts := []Target{{Out: 10, In: 10}, {Out: 10, In: 20}}
	for _, c := range []struct {
		name string
		cfg  Settings
		want Budget
	}{
		{"ratio", Settings{Ratio: 0.25}, Budget{"bytes", 900, 1200}},
		{"bytes", Settings{Bytes: 77}, Budget{"bytes", 77, 1200}},
		{"params", Settings{Params: 77}, Budget{"params", 77, 300}},
	} {
		if got := c.cfg.budget(ts); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	options := [][]Option{curve(r, 10, 10), curve(r, 10, 20)}
	for _, uniform := range []bool{false, true} {
		if _, err := allocate(options, Budget{"bytes", 199, 1200}, uniform); !errors.Is(err, task.ErrUsage) {
			t.Errorf("too small: got %v, want an error that matches ErrUsage", err)
		}
		chosen, err := allocate(options, Budget{"bytes", 1200, 1200}, uniform)
		if err != nil || chosen[0] != len(options[0])-1 || chosen[1] != len(options[1])-1 {
			t.Errorf("everything: chosen %v (%v), want all dense", chosen, err)
		}
	}
}

// TestMergedOptions: of two methods' options the best at each size stay, in ascending order, and one dense at the end.
func TestMergedOptions(t *testing.T) {
	a := []Option{{Method: "svd", Bytes: 10, Loss: 5}, {Method: "svd", Bytes: 20, Loss: 2}, {Method: "dense", Bytes: 40}}
	b := []Option{{Method: "fwsvd", Bytes: 10, Loss: 4}, {Method: "fwsvd", Bytes: 20, Loss: 2}, {Method: "fwsvd", Bytes: 30, Loss: 3}, {Method: "dense", Bytes: 40}}
	got := mergeOptions(a, b, func(o Option) int { return o.Bytes })
	want := []Option{{Method: "fwsvd", Bytes: 10, Loss: 4}, {Method: "svd", Bytes: 20, Loss: 2}, {Method: "dense", Bytes: 40}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMild: a prediction is in its range where little is removed, and is not where nearly all is.
func TestMild(t *testing.T) {
	last := 0.0
	for _, c := range []struct {
		ratio float64
		mild  bool
	}{{0.1, true}, {0.3, true}, {0.85, false}} {
		p, err := MakePlan(context.Background(), configOf(t, trainedRun(t), "fwsvd", c.ratio), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if p.Mild() != c.mild || p.Removed <= last || p.Removed >= 1 {
			t.Errorf("ratio %g: mild is %t with %g of the energy removed, %g at the one before", c.ratio, p.Mild(), p.Removed, last)
		}
		last = p.Removed
	}
}
