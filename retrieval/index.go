package retrieval

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/factor/cur"
	"sparrow/task"
)

// Item is something to find. Two are the same where they have the same id, or no id and the same text.
type Item struct {
	ID   string `json:"id,omitempty"`
	Text string `json:"text"`
}

func (i Item) key() string {
	if i.ID != "" {
		return "id " + i.ID
	}
	return "text " + i.Text
}

// Query is what items are found for.
type Query struct {
	Text string `json:"text"`
	Gold string `json:"gold,omitempty"` // id or text of the item that answers it; "": not known
}

// Config is what an index is built by: the file that `model index build` reads.
type Config struct {
	Seed    uint64  `toml:"seed" json:"seed" doc:"of everything that is drawn"`
	Queries int     `toml:"queries" json:"queries" doc:"anchor queries, drawn from those of the file, each of which is scored with every item; 0: all"`
	Anchors int     `toml:"anchors" json:"anchors" doc:"anchor items that are chosen ahead, the most that a search may start from"`
	Choose  cur.How `toml:"choose" json:"choose" doc:"how anchor items are chosen: by chance, one of each cluster, by QR with pivots or by strong rank-revealing QR" choices:"random|clusters|pivoted|strong"`
	Crossed int     `toml:"crossed" json:"crossed" doc:"anchor items that are scored as queries with every item too, for method fixed; 0: none"`
	Dense   string  `toml:"dense" json:"-" doc:"run or checkpoint of a sentence encoder, for methods that start from its vectors; empty: none"`

	// How the scorer is asked, which no score depends on.
	Batch    int    `toml:"batch" json:"-" doc:"pairs that the scorer gets at once" unit:"pairs"`
	Timeout  string `toml:"timeout" json:"-" doc:"how long it may take for a batch, as 60s"`
	Attempts int    `toml:"attempts" json:"-" doc:"how often a batch that fails is tried"`
}

// DefaultConfig is what keys are where the file does not say.
func DefaultConfig() Config {
	return Config{Seed: 1, Queries: 300, Anchors: 200, Choose: cur.Strong, Batch: 32, Timeout: "60s", Attempts: 3}
}

// Validate reports keys that no index can be built by.
func (c Config) Validate(r *configs.Report) {
	r.AtLeast("queries", 0)
	r.AtLeast("anchors", 1)
	r.AtLeast("crossed", 0)
	r.AtLeast("batch", 1)
	r.AtLeast("attempts", 1)
	r.OneOf("choose")
	if _, err := time.ParseDuration(c.Timeout); err != nil {
		r.Errorf("timeout", "is no time; want one such as 60s or 5m")
	}
}

// Asks says how a scorer is asked for pairs that are kept in some.
func (c Config) Asks(s Scorer, pairs *Pairs) *Asker {
	a := NewAsker(s, pairs)
	a.Batch, a.Attempts = c.Batch, c.Attempts
	a.Timeout, _ = time.ParseDuration(c.Timeout) // as Validate has checked
	return a
}

// Origin is a model that an index was built with.
type Origin struct {
	Name string `json:"name"` // where it was, for messages
	Hash string `json:"hash"`
}

// Ridge is one that was chosen for so many anchors.
type Ridge struct {
	Anchors int     `json:"anchors"`
	Chosen  float64 `json:"chosen"` // where they are those chosen ahead
	Drawn   float64 `json:"drawn"`  // where they are others
}

// Info is what index.json says.
type Info struct {
	Config Config  `json:"config"`
	Scorer Origin  `json:"scorer"`
	Dense  *Origin `json:"dense,omitempty"`

	Items    int     `json:"items"`
	Anchors  []int   `json:"anchors"` // places of those chosen ahead, in the order of choice
	Crossed  int     `json:"crossed"` // the first of them that are scored as queries
	Ridges   []Ridge `json:"ridges"`
	Fold     float64 `json:"fold"` // the ridge of queries fitted over vectors; 0: no vectors
	Spectrum Decay   `json:"spectrum"`
	Calls    int     `json:"calls"`   // pairs that building took
	Seconds  float64 `json:"seconds"` // that its last run spent on scoring them

	Files map[string]string `json:"files"` // SHA-256 of each
}

// Decay says how fast the singular values of the scores fall, of which the means of the items are taken off. k_0.9 of more than half of
// the anchor queries says that no few anchors tell the other scores.
type Decay struct {
	K90     int     `json:"k_0.9"`       // singular values with nine tenths of the energy
	K90Full int     `json:"k_0.9_plain"` // with the means
	Queries int     `json:"queries"`
	Cond    float64 `json:"condition"` // of the anchors chosen ahead
}

// Hopeless tells whether anchors cannot tell the other scores.
func (d Decay) Hopeless() bool { return 2*d.K90 > d.Queries }

// Index knows the scores of anchor queries with every item, and what follows for other queries.
type Index struct {
	Info    Info
	Items   []Item
	Queries []string // anchors

	scores  *factor.Matrix // [queries, items]
	crossed *factor.Matrix // [crossed, items]; nil: none
	vectors *factor.Matrix // [items, d]; nil: none

	once  sync.Once
	words *BM25
	rows  *cur.Rows

	mu     sync.Mutex
	starts map[int]*cur.Adaptive // of the first so many anchors: what all queries share
}

// Fits says why the index cannot be searched with a scorer.
func (x *Index) Fits(s Scorer) error {
	if s.Hash() == x.Info.Scorer.Hash {
		return nil
	}
	return task.Refusef("retrieval: the index was built with scorer %s (%s), and this is %s (%s): their scores do not fit together; build an index with this one, or search with that one",
		x.Info.Scorer.Name, short(x.Info.Scorer.Hash), s.Name(), short(s.Hash()))
}

// FitsDense says why vectors of queries cannot be those of an encoder.
func (x *Index) FitsDense(e Encoder) error {
	if x.Info.Dense == nil {
		return task.Refusef("retrieval: the index has no vectors; build it with dense = \"CHECKPOINT\" in its config, of a sentence encoder")
	}
	if e.Hash() == x.Info.Dense.Hash {
		return nil
	}
	return task.Refusef("retrieval: the vectors of the index are those of %s (%s), and this is %s (%s)", x.Info.Dense.Name, short(x.Info.Dense.Hash), e.Name(), short(e.Hash()))
}

func short(hash string) string { return hash[:min(len(hash), 24)] }

// prepare makes what is derived from the scores.
func (x *Index) prepare() {
	x.once.Do(func() {
		texts := make([]string, len(x.Items))
		for i, item := range x.Items {
			texts[i] = item.Text
		}
		x.words = NewBM25(texts)
		x.rows = cur.NewRows(x.scores)
		x.starts = map[int]*cur.Adaptive{}
	})
}

// ridge is the one that was chosen for about so many anchors.
func (x *Index) ridge(anchors int) Ridge {
	return slices.MinFunc(x.Info.Ridges, func(a, b Ridge) int {
		gap := func(r Ridge) float64 {
			return math.Abs(math.Log(float64(r.Anchors)) - math.Log(float64(max(anchors, 1))))
		}
		return cmp.Compare(gap(a), gap(b))
	})
}

// start is what follows from the first n anchors, whatever the query.
func (x *Index) start(n int) (*cur.Adaptive, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a, known := x.starts[n]; known {
		return a, nil
	}
	a := x.rows.Start(x.ridge(n).Chosen)
	for _, at := range x.Info.Anchors[:n] {
		if err := a.See(at, 0); err != nil {
			return nil, err
		}
	}
	x.starts[n] = a
	return a, nil
}
