package recommend

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Who is the user that items are scored for.
type Who struct {
	User   int       // number; -1: a new one, of whom training saw nothing
	Clicks []int32   // the items that he is known by, ascending
	Fields [][]int32 // for each field the numbers of its values; nil: not known
	Time   int64     // seconds, of what depends on it; 0: none
}

// Scorer gives every item a score for a user; a higher one is better.
type Scorer interface {
	Items() int
	// Score fills dst [len(who), Items()].
	Score(dst []float32, who []Who) error
}

// Case is a user to rank for and what he wants.
type Case struct {
	Who
	Seen []int32 // items that are not recommended, ascending
	Want []int32 // items to be found, ascending, none of them seen
}

// Protocol says what is measured.
type Protocol struct {
	Cutoffs    []int  // lengths of lists
	Candidates int    // sampled for each wanted item; 0: none
	Seed       uint64 // of the sampled ones
	Only       []bool // items to choose from; nil: all
}

// names of what is measured at a cutoff.
var atCutoff = []string{"ndcg", "recall", "recall_min", "hr", "map", "f1"}

// Names are those of the values of a Report, in order. They carry the cutoff and, where candidates are sampled, how many.
func (p Protocol) Names() []string {
	var names []string
	for _, k := range p.Cutoffs {
		for _, name := range atCutoff {
			names = append(names, fmt.Sprintf("%s@%d", name, k))
		}
	}
	names = append(names, "mrr")
	if p.Candidates > 0 {
		for _, k := range p.Cutoffs {
			names = append(names, fmt.Sprintf("hr@%d/%dneg", k, p.Candidates), fmt.Sprintf("ndcg@%d/%dneg", k, p.Candidates))
		}
		names = append(names, fmt.Sprintf("mrr/%dneg", p.Candidates))
	}
	return names
}

// Report is the mean of each value over the users that want something.
type Report struct {
	Values []float64 // in the order of Names
	Users  int
}

// usersAtOnce is how many users are scored in one product.
const usersAtOnce = 128

// Evaluate ranks all items for each user, but those he has seen, and measures where the wanted ones come; equal scores come in the
// order of the items' numbers. Users who want nothing are left out. With h_r = 1 where the item of rank r is wanted, n wanted items
// and m = min(n, k):
//
//	recall@k = Σ_{r<=k} h_r / n         recall_min@k: the same over m         hr@k = 1 where any h_r is
//	ndcg@k   = Σ_{r<=k} h_r / log2(r+1) over Σ_{r<=m} 1 / log2(r+1)
//	map@k    = Σ_{r<=k} h_r (Σ_{q<=r} h_q) / r over m
//	f1@k     = 2 Σ h_r / (k + n)        mrr = 1 / rank of the first wanted item, of all items
//
// Beside that, each wanted item is ranked among so many sampled items that are neither seen nor wanted. Such values depend on the
// number of candidates and may order models otherwise (Krichene and Rendle 2020).
func Evaluate(ctx context.Context, s Scorer, cases []Case, p Protocol, after func(done, total int)) (Report, error) {
	names := p.Names()
	r := Report{Values: make([]float64, len(names))}
	cases = slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return len(c.Want) == 0 })
	if r.Users = len(cases); r.Users == 0 {
		return r, fmt.Errorf("recommend: no user has an item to be found")
	}
	items := s.Items()
	scores := make([]float32, min(usersAtOnce, len(cases))*items)
	measured := make([]float64, min(usersAtOnce, len(cases))*len(names))
	who := make([]Who, 0, usersAtOnce)
	for lo := 0; lo < len(cases); lo += usersAtOnce {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		hi := min(lo+usersAtOnce, len(cases))
		who = who[:0]
		for _, c := range cases[lo:hi] {
			who = append(who, c.Who)
		}
		if err := s.Score(scores[:(hi-lo)*items], who); err != nil {
			return r, err
		}
		kernel.Parallel(hi-lo, func(i int) {
			p.measure(measured[i*len(names):(i+1)*len(names)], cases[lo+i], scores[i*items:(i+1)*items], lo+i)
		})
		for i := range hi - lo {
			for j := range names {
				r.Values[j] += measured[i*len(names)+j]
			}
		}
		if after != nil {
			after(hi, len(cases))
		}
	}
	for j := range r.Values {
		r.Values[j] /= float64(r.Users)
	}
	return r, nil
}

// measure fills the values of one user.
func (p Protocol) measure(dst []float64, c Case, scores []float32, row int) {
	top := Top(scores, slices.Max(p.Cutoffs), c.Seen, p.Only)
	hits := make([]bool, len(top))
	for i, x := range top {
		_, hits[i] = slices.BinarySearch(c.Want, x.Item)
	}
	for _, k := range p.Cutoffs {
		copy(dst, atLength(hits, len(c.Want), k))
		dst = dst[len(atCutoff):]
	}
	dst[0] = 1 / float64(p.firstRank(c, scores))
	if p.Candidates > 0 {
		p.sampled(dst[1:], c, scores, row)
	}
}

// atLength are the values of atCutoff.
func atLength(hits []bool, wanted, k int) []float64 {
	var found, dcg, ideal, precision float64
	for r := range min(k, len(hits)) {
		if hits[r] {
			found++
			dcg += 1 / math.Log2(float64(r)+2)
			precision += found / float64(r+1)
		}
	}
	m := min(wanted, k)
	for r := range m {
		ideal += 1 / math.Log2(float64(r)+2)
	}
	return []float64{dcg / ideal, found / float64(wanted), found / float64(m), min(found, 1), precision / float64(m), 2 * found / float64(k+wanted)}
}

// firstRank is that of the best wanted item among all that are not seen.
func (p Protocol) firstRank(c Case, scores []float32) int {
	best := Scored{-1, 0}
	for _, i := range c.Want {
		if x := (Scored{i, scores[i]}); best.Item < 0 || compare(x, best) < 0 {
			best = x
		}
	}
	rank, seen := 1, c.Seen
	for i, x := range scores {
		if len(seen) > 0 && int(seen[0]) == i {
			seen = seen[1:]
			continue
		}
		if (p.Only == nil || p.Only[i]) && compare(Scored{int32(i), x}, best) < 0 {
			rank++
		}
	}
	return rank
}

// sampled ranks each wanted item among candidates, and fills hr and ndcg of each cutoff and mrr.
func (p Protocol) sampled(dst []float64, c Case, scores []float32, row int) {
	clear(dst)
	r := rng.New(p.Seed, "recommend/candidates", uint64(row))
	free := func(i int32) bool {
		_, seen := slices.BinarySearch(c.Seen, i)
		_, wanted := slices.BinarySearch(c.Want, i)
		return !seen && !wanted && (p.Only == nil || p.Only[i])
	}
	for _, w := range c.Want {
		rank, tries := 1, 0
		for n := 0; n < p.Candidates && tries < 100*p.Candidates; tries++ { // of few items there may be none
			i := int32(r.Intn(len(scores)))
			if !free(i) {
				continue
			}
			n++
			if compare(Scored{i, scores[i]}, Scored{w, scores[w]}) < 0 {
				rank++
			}
		}
		for j, k := range p.Cutoffs {
			if rank <= k {
				dst[2*j]++
				dst[2*j+1] += 1 / math.Log2(float64(rank)+1)
			}
		}
		dst[2*len(p.Cutoffs)] += 1 / float64(rank)
	}
	for i := range dst {
		dst[i] /= float64(len(c.Want))
	}
}
