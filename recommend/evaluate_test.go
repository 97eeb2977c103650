package recommend

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sparrow/kernel"
)

// table is a scorer of given scores.
type table [][]float32

func (t table) Items() int { return len(t[0]) }
func (t table) Score(dst []float32, who []Who) error {
	for i, w := range who {
		copy(dst[i*len(t[0]):], t[w.User])
	}
	return nil
}

// randomCases are users with coarse scores, so that many are equal.
func randomCases(users, items int) (table, []Case) {
	r := rand.New(rand.NewPCG(5, 3))
	var scores table
	var cases []Case
	for u := range users {
		row := make([]float32, items)
		c := Case{Who: Who{User: u}}
		for i := range row {
			row[i] = float32(r.IntN(9))
			switch r.IntN(6) {
			case 0:
				c.Seen = append(c.Seen, int32(i))
			case 1:
				c.Want = append(c.Want, int32(i))
			}
		}
		scores, cases = append(scores, row), append(cases, c)
	}
	return scores, cases
}

// naive measures one user by sorting all candidates.
func naive(scores []float32, c Case, k int) map[string]float64 {
	var order []int
	for i := range scores {
		if !slices.Contains(c.Seen, int32(i)) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	v := map[string]float64{}
	var hits, ap, ideal float64
	for r, i := range order {
		if !slices.Contains(c.Want, int32(i)) {
			continue
		}
		if v["mrr"] == 0 {
			v["mrr"] = 1 / float64(r+1)
		}
		if r < k {
			hits++
			v["ndcg"] += 1 / math.Log2(float64(r+2))
			ap += hits / float64(r+1)
			v["hr"] = 1
		}
	}
	n := float64(len(c.Want))
	for r := range min(k, len(c.Want)) {
		ideal += 1 / math.Log2(float64(r+2))
	}
	v["ndcg"] /= ideal
	v["recall"], v["recall_min"], v["map"] = hits/n, hits/min(n, float64(k)), ap/min(n, float64(k))
	if hits > 0 {
		p := hits / float64(k)
		v["f1"] = 2 * p * v["recall"] / (p + v["recall"])
	}
	return v
}

// TestEvaluate: all values equal those of sorting, on many users, with equal scores, for any number of threads.
func TestEvaluate(t *testing.T) {
	scores, cases := randomCases(300, 41)
	p := Protocol{Cutoffs: []int{3, 10}, Candidates: 5, Seed: 1}
	got, err := Evaluate(context.Background(), scores, cases, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, users := map[string]float64{}, 0
	for u, c := range cases {
		if len(c.Want) == 0 {
			continue
		}
		users++
		for _, k := range p.Cutoffs {
			for name, x := range naive(scores[u], c, k) {
				if name != "mrr" {
					name += map[int]string{3: "@3", 10: "@10"}[k]
				} else if k == 3 {
					continue
				}
				want[name] += x
			}
		}
	}
	if got.Users != users {
		t.Errorf("%d users, want %d: those who want something", got.Users, users)
	}
	for j, name := range p.Names() {
		if strings.HasSuffix(name, "neg") {
			if x := got.Values[j]; !(x > 0 && x <= 1) {
				t.Errorf("%s = %v", name, x)
			}
			continue
		}
		if x := want[name] / float64(users); !(math.Abs(got.Values[j]-x) <= 1e-12) {
			t.Errorf("%s = %.15f, want %.15f", name, got.Values[j], x)
		}
	}
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	kernel.SetThreads(1)
	one, err := Evaluate(context.Background(), scores, cases, p, nil)
	if err != nil || !slices.Equal(one.Values, got.Values) {
		t.Errorf("one thread: %v, %v; want %v", one.Values, err, got.Values)
	}
	if _, err := Evaluate(context.Background(), scores, nil, p, nil); err == nil {
		t.Error("no user: no error")
	}
}

// TestSampledCandidates: ranked among as many as there are, a wanted item has its rank among all others that are not seen.
func TestSampledCandidates(t *testing.T) {
	scores := table{{9, 1, 5, 7, 3, 8}}
	c := []Case{{Who: Who{}, Seen: []int32{0}, Want: []int32{3}}}
	p := Protocol{Cutoffs: []int{1, 2}, Candidates: 2000, Seed: 4}
	r, err := Evaluate(context.Background(), scores, c, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	// About a quarter of the draws is item 5, the one before item 3: its rank is far below 2.
	if x := r.Values[len(r.Values)-1]; !(x > 1.0/700 && x < 1.0/300) {
		t.Errorf("mrr/2000neg = %v, want about 1/500", x)
	}
}

// TestTop: the best come first, equal ones by number, without those to skip, as by sorting.
func TestTop(t *testing.T) {
	scores, cases := randomCases(50, 30)
	for u, c := range cases {
		only := make([]bool, 30)
		for i := range only {
			only[i] = i%3 != 0
		}
		var want []Scored
		for i, x := range scores[u] {
			if !slices.Contains(c.Seen, int32(i)) && only[i] {
				want = append(want, Scored{int32(i), x})
			}
		}
		slices.SortFunc(want, compare)
		for _, k := range []int{1, 5, 40} {
			if got := Top(scores[u], k, c.Seen, only); !slices.Equal(got, want[:min(k, len(want))]) {
				t.Errorf("user %d: top %d = %v, want %v", u, k, got, want[:min(k, len(want))])
			}
		}
	}
}
