package retrieval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"sparrow/factor/cur"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/task"
)

// Method is how the items to score are chosen.
type Method string

// The methods.
const (
	ANNCUR      Method = "anncur"       // anchors chosen ahead, then the best by CUR
	ADACUR      Method = "adacur"       // anchors in rounds, each those that look best by what was scored before
	AXN         Method = "axn"          // as ADACUR, but a query vector fitted over the vectors of a sentence encoder
	RerankDense Method = "rerank-dense" // the nearest by the vectors of a sentence encoder
	RerankBM25  Method = "rerank-bm25"  // the best by the words that they share with the query
	RerankMean  Method = "rerank-mean"  // those that anchor queries like best on average, whatever the query
	Fixed       Method = "fixed"        // anchors chosen ahead, then the best by the anchors' own scores, without U
	Exact       Method = "exact"        // all
)

// Methods are all of them.
var Methods = []Method{ANNCUR, ADACUR, AXN, RerankDense, RerankBM25, RerankMean, Fixed, Exact}

// Start is which items ADACUR and AXN score first.
type Start string

// The starts.
const (
	StartChosen  Start = "chosen" // anchors chosen ahead
	StartRandom  Start = "random"
	StartVectors Start = "vectors"
	StartBM25    Start = "bm25"
)

// Starts are all of them.
var Starts = []Start{StartChosen, StartRandom, StartVectors, StartBM25}

// Request says what is searched and how.
type Request struct {
	Query  string
	K      int // items to find
	Budget int // pairs to score
	Method Method

	Share  float64 // of the budget, for anchors; 0: a quarter, of ADACUR and AXN a half
	Rounds int     // in which ADACUR and AXN score them; 0: 5
	Start  Start   // of ADACUR and AXN; "": vectors if the index has them, else chosen
	Sample bool    // later rounds draw by what looks good rather than take the best
	Seed   uint64  // of what is drawn
}

// Tools are what a search calls: the scorer, and an encoder for methods that have vectors; nil: there is none.
type Tools struct {
	Asker *Asker
	Dense Encoder
}

// Hit is an item that was found.
type Hit struct {
	Place int     // in Index.Items
	Score float64 // the scorer's own
}

// Found is the outcome of a search, the best first.
type Found struct {
	Hits  []Hit
	Calls int           // pairs that it took
	Own   time.Duration // that it took beside scoring and embedding
}

// Check says what is wrong with a request.
func (x *Index) Check(r Request) error {
	n := len(x.Items)
	switch {
	case !slices.Contains(Methods, r.Method):
		return task.Refusef("method %q is unknown; want %s", r.Method, names(Methods))
	case r.K < 1 || r.K > n:
		return task.Refusef("k is %d; want 1 to %d, the items that there are", r.K, n)
	case r.Method != Exact && r.Budget < r.K:
		return task.Refusef("a budget of %d pairs for %d items; want a budget of k at least", r.Budget, r.K)
	case !(r.Share >= 0) || r.Share > 1:
		return task.Refusef("the anchors' share of the budget is %v; want 0 to 1", r.Share)
	case r.Rounds < 0:
		return task.Refusef("%d rounds; want 1 or more, or 0 for 5", r.Rounds)
	case r.Start != "" && !slices.Contains(Starts, r.Start):
		return task.Refusef("start %q is unknown; want %s", r.Start, names(Starts))
	case x.vectors == nil && (r.Method == AXN || r.Method == RerankDense || r.Start == StartVectors):
		return task.Refusef("method %s wants vectors and the index has none; build it with dense = \"CHECKPOINT\" in its config, of a sentence encoder", r.Method)
	case x.crossed == nil && r.Method == Fixed:
		return task.Refusef("method fixed wants scores of anchors with every item and the index has none; build it with crossed = %d in its config", len(x.Info.Anchors))
	}
	return nil
}

func names[T ~string](all []T) string {
	s := make([]string, len(all))
	for i, v := range all {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}

// Search finds the K items that the scorer ranks first for a query, as well as Budget pairs allow. Anchors have their own scores and
// compete with the others. An error about the request matches task.ErrUsage.
func (x *Index) Search(ctx context.Context, t Tools, r Request) (Found, error) {
	if err := x.Check(r); err != nil {
		return Found{}, err
	}
	x.prepare()
	s := &search{x: x, t: t, r: r, scores: map[int]float64{}, began: time.Now()}
	s.r.Budget = min(r.Budget, len(x.Items))
	if err := s.run(ctx); err != nil {
		return Found{}, err
	}
	return s.found(), nil
}

// search is one under way.
type search struct {
	x      *Index
	t      Tools
	r      Request
	scores map[int]float64
	query  []float64 // its vector; nil: not made
	began  time.Time
	away   time.Duration // in scorer and encoder
}

// guide predicts scores from those that it sees.
type guide interface {
	See(item int, score float64) error
	Predict(out []float64)
}

func (s *search) run(ctx context.Context) error {
	switch s.r.Method {
	case Exact:
		all := make([]int, len(s.x.Items))
		for i := range all {
			all[i] = i
		}
		_, err := s.ask(ctx, all)
		return err
	case RerankDense, RerankBM25:
		guess, err := s.first(ctx, map[Method]Start{RerankDense: StartVectors, RerankBM25: StartBM25}[s.r.Method])
		if err != nil {
			return err
		}
		return s.rest(ctx, guess)
	case RerankMean:
		return s.rest(ctx, s.x.rows.Mean)
	case ANNCUR, Fixed:
		return s.chosen(ctx)
	}
	return s.rounds(ctx)
}

// anchors is how much of the budget they may take.
func (s *search) anchors(otherwise float64) int {
	share := s.r.Share
	if share == 0 {
		share = otherwise
	}
	return max(1, int(math.Round(share*float64(s.r.Budget))))
}

// chosen scores anchors that were chosen ahead, then what is best by them.
func (s *search) chosen(ctx context.Context) error {
	n := min(s.anchors(0.25), len(s.x.Info.Anchors))
	if s.r.Method == Fixed {
		n = min(n, s.x.Info.Crossed)
	}
	values, err := s.ask(ctx, s.x.Info.Anchors[:n])
	if err != nil {
		return err
	}
	out := make([]float64, len(s.x.Items))
	if s.r.Method == Fixed {
		kernel.Gemm(false, false, 1, len(out), n, 1, values, n, s.x.crossed.Data, len(out), 0, out, len(out))
		return s.rest(ctx, out)
	}
	shared, err := s.x.start(n)
	if err != nil {
		return err
	}
	shared.Fork(values).Predict(out)
	return s.rest(ctx, out)
}

// rounds scores anchors in rounds, then what is best by them.
func (s *search) rounds(ctx context.Context) error {
	anchors, rounds := s.anchors(0.5), s.r.Rounds
	if rounds == 0 {
		rounds = 5
	}
	rounds = min(rounds, anchors)
	how := s.r.Start
	if how == "" {
		if how = StartChosen; s.x.vectors != nil {
			how = StartVectors
		}
	}
	guess, err := s.first(ctx, how)
	if err != nil {
		return err
	}
	var g guide
	if s.r.Method == AXN {
		if err := s.embed(ctx); err != nil {
			return err
		}
		g = newFold(s.query, s.x.vectors, s.x.Info.Fold)
	} else {
		g = s.x.rows.Start(s.x.ridge(anchors).Drawn)
	}
	draws := rng.New(s.r.Seed, "retrieval/rounds", 0)
	for round := range rounds {
		n := anchors*(round+1)/rounds - anchors*round/rounds
		if round > 0 && s.r.Sample {
			noise(guess, draws)
		}
		some := s.best(guess, n)
		values, err := s.ask(ctx, some)
		if err != nil {
			return err
		}
		for i, at := range some {
			if err := g.See(at, values[i]); err != nil {
				return err
			}
		}
		g.Predict(guess)
	}
	return s.rest(ctx, guess)
}

// noise makes the best of scores a draw without replacement, by softmax over scores in standard deviations (Gumbel's trick).
func noise(guess []float64, draws *rng.Source) {
	mean, deviation := moments(guess)
	for i, v := range guess {
		if deviation > 0 {
			v = (v - mean) / deviation
		}
		guess[i] = v - math.Log(-math.Log(max(draws.Float64(), 1e-300)))
	}
}

func moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}

// first are scores of all items by which the first ones to score are chosen.
func (s *search) first(ctx context.Context, how Start) ([]float64, error) {
	out := make([]float64, len(s.x.Items))
	switch how {
	case StartBM25:
		return s.x.words.Scores(s.r.Query), nil
	case StartVectors:
		if err := s.embed(ctx); err != nil {
			return nil, err
		}
		v := s.x.vectors
		kernel.Gemm(false, true, 1, v.Rows, v.Cols, 1, s.query, v.Cols, v.Data, v.Cols, 0, out, v.Rows)
	case StartChosen:
		for i, at := range s.x.Info.Anchors {
			out[at] = float64(len(out) - i)
		}
	default:
		draws := rng.New(s.r.Seed, "retrieval/start", 0)
		for i := range out {
			out[i] = draws.Float64()
		}
	}
	return out, nil
}

// embed makes the vector of the query.
func (s *search) embed(ctx context.Context) error {
	if s.query != nil {
		return nil
	}
	if s.t.Dense == nil {
		return task.Refusef("method %s wants the sentence encoder of the index, %s", s.r.Method, s.x.Info.Dense.Name)
	}
	began := time.Now()
	v, err := s.t.Dense.Query(ctx, s.r.Query)
	s.away += time.Since(began)
	if err != nil {
		return err
	}
	if len(v) != s.x.vectors.Cols {
		return fmt.Errorf("retrieval: a vector of %d numbers from %s; those of the index have %d", len(v), s.t.Dense.Name(), s.x.vectors.Cols)
	}
	s.query = wide(v)
	return nil
}

// best are the n best items that are not scored yet.
func (s *search) best(guess []float64, n int) []int {
	some := make([]int, 0, n)
	for _, at := range descending(guess) {
		if len(some) == n {
			break
		}
		if _, scored := s.scores[at]; !scored {
			some = append(some, at)
		}
	}
	return some
}

// rest scores the best by a guess with what is left of the budget.
func (s *search) rest(ctx context.Context, guess []float64) error {
	if left := s.r.Budget - len(s.scores); left > 0 {
		_, err := s.ask(ctx, s.best(guess, left))
		return err
	}
	return nil
}

// ask scores items.
func (s *search) ask(ctx context.Context, items []int) ([]float64, error) {
	texts := make([]string, len(items))
	for i, at := range items {
		texts[i] = s.x.Items[at].Text
	}
	began := time.Now()
	values, err := s.t.Asker.Ask(ctx, s.r.Query, texts)
	s.away += time.Since(began)
	if err != nil {
		return nil, err
	}
	for i, at := range items {
		s.scores[at] = values[i]
	}
	return values, nil
}

// found is what has been scored, the best first; equal ones in the order of items.
func (s *search) found() Found {
	places := make([]int, 0, len(s.scores))
	for at := range s.scores {
		places = append(places, at)
	}
	slices.Sort(places)
	values := make([]float64, len(places))
	for i, at := range places {
		values[i] = s.scores[at]
	}
	f := Found{Calls: len(s.scores), Own: time.Since(s.began) - s.away}
	for _, i := range descending(values)[:min(s.r.K, len(values))] {
		f.Hits = append(f.Hits, Hit{places[i], values[i]})
	}
	return f
}

var _ guide = (*cur.Adaptive)(nil)
