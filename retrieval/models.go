package retrieval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// Checkpoint is the scorer that a model of pairs is, or a sentence encoder by the cosine of its vectors. A probability p becomes
// log(p / (1-p)): that ranks alike, and is what the network put out.
type Checkpoint struct {
	Model  *saved.Model
	ranker task.Ranker
	logits bool
	int8s  bool
}

// OpenCheckpoint opens a run or a checkpoint that ranks. With int8s it computes by products of 8-bit integers, which is faster and another
// scorer: its scores are not the same.
func OpenCheckpoint(path string, int8s bool) (*Checkpoint, error) {
	l, err := saved.Open(path, false, model.Options{Packed: true, Int8: int8s})
	if err != nil {
		return nil, err
	}
	return NewCheckpoint(l, int8s)
}

// NewCheckpoint makes a scorer of a model that is open; int8s says whether that computes by products of 8-bit integers.
func NewCheckpoint(l *saved.Model, int8s bool) (*Checkpoint, error) {
	r, ok := l.Task.(task.Ranker)
	if !ok || !r.Ranks() {
		return nil, task.Refusef("%s ranks nothing; want a model of pairs of texts with a score or two classes, or a sentence encoder", l.Dir)
	}
	c := &Checkpoint{Model: l, ranker: r, int8s: int8s}
	if p, ok := l.Task.(task.Predictor); ok {
		c.logits = len(p.Names()) == 2
	}
	return c, nil
}

// Name implements Scorer.
func (c *Checkpoint) Name() string { return c.Model.Dir }

// Hash implements Scorer: that of the checkpoint's manifest, which has those of all its files.
func (c *Checkpoint) Hash() string {
	hash := hashOf(c.Model)
	if c.int8s {
		hash = "int8 " + hash
	}
	return hash
}

func hashOf(l *saved.Model) string {
	hash := "sha256:" + l.Files.Manifest().SHA256
	if l.Base != nil {
		hash += "+" + l.Base.Manifest().SHA256
	}
	return hash
}

// Score implements Scorer.
func (c *Checkpoint) Score(ctx context.Context, query string, items []string) (scores []float64, err error) {
	err = c.Model.Do(ctx, func(s *model.Session) error {
		scores, err = c.ranker.Rank(ctx, s, query, items)
		return err
	})
	var about *task.InputError
	if errors.As(err, &about) && about.Index < len(items) {
		return nil, &pairError{items[about.Index], fmt.Errorf("%w: %w", about.Err, ErrFinal)}
	}
	if c.logits {
		for i, p := range scores {
			const least = 1e-12 // what rounding to 1 leaves
			scores[i] = math.Log(max(p, least)) - math.Log(max(1-p, least))
		}
	}
	return scores, err
}

// HTTP is a re-ranker that answers POST requests as /v1/rerank of `model serve`, Cohere and Jina do.
type HTTP struct {
	URL   string
	Model string // that the server is asked for; "": its choice
	Key   string // API key; "": none
}

// Name implements Scorer: the address, and behind a # the model.
func (h HTTP) Name() string {
	if h.Model == "" {
		return h.URL
	}
	return h.URL + "#" + h.Model
}

// Hash implements Scorer: nothing is known of the model behind an address but its name.
func (h HTTP) Hash() string { return "http:" + h.URL + "#" + h.Model }

// Score implements Scorer.
func (h HTTP) Score(ctx context.Context, query string, items []string) ([]float64, error) {
	body, err := json.Marshal(map[string]any{"model": h.Model, "query": query, "documents": items, "top_n": len(items), "return_documents": false})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if h.Key != "" {
		r.Header.Set("Authorization", "Bearer "+h.Key)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(w.Body, most))
	if err != nil {
		return nil, err
	}
	if w.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s: %s", w.Status, clip(strings.TrimSpace(string(text))))
		if w.StatusCode >= 400 && w.StatusCode < 500 && w.StatusCode != http.StatusTooManyRequests && w.StatusCode != http.StatusRequestTimeout {
			err = fmt.Errorf("%w (%w)", err, ErrFinal)
		}
		return nil, err
	}
	var answer struct {
		Results []struct {
			Index int      `json:"index"`
			Score *float64 `json:"relevance_score"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("the answer is no ranking: %w", err)
	}
	scores, set := make([]float64, len(items)), 0
	for i := range scores {
		scores[i] = math.NaN()
	}
	for _, x := range answer.Results {
		if x.Index < 0 || x.Index >= len(items) || x.Score == nil {
			return nil, fmt.Errorf("the answer has a result without relevance_score, or of document %d of %d", x.Index, len(items))
		}
		scores[x.Index] = *x.Score
		set++
	}
	if set < len(items) {
		return nil, fmt.Errorf("the answer has %d results for %d documents", set, len(items))
	}
	return scores, nil
}

// Encoder gives texts vectors of length 1, of a query and of items.
type Encoder interface {
	Query(ctx context.Context, text string) ([]float32, error)
	Items(ctx context.Context, texts []string) ([][]float32, error)
	Name() string
	Hash() string
}

// BiEncoder is the encoder that a checkpoint of a sentence encoder is. Queries and items get the prompts that it has for them.
type BiEncoder struct {
	Model    *saved.Model
	embedder task.Embedder
}

// OpenBiEncoder opens a run or a checkpoint of a sentence encoder.
func OpenBiEncoder(path string) (*BiEncoder, error) {
	l, err := saved.Open(path, false, model.Options{Packed: true})
	if err != nil {
		return nil, err
	}
	e, ok := l.Task.(task.Embedder)
	if !ok {
		return nil, task.Refusef("%s holds no sentence encoder: its config has no [model.sentence]", l.Dir)
	}
	return &BiEncoder{l, e}, nil
}

// Name implements Encoder.
func (b *BiEncoder) Name() string { return b.Model.Dir }

// Hash implements Encoder.
func (b *BiEncoder) Hash() string { return hashOf(b.Model) }

// Query implements Encoder.
func (b *BiEncoder) Query(ctx context.Context, text string) ([]float32, error) {
	x, err := b.vectors(ctx, []string{text}, "query")
	if err != nil {
		return nil, err
	}
	return x[0], nil
}

// Items implements Encoder.
func (b *BiEncoder) Items(ctx context.Context, texts []string) ([][]float32, error) {
	return b.vectors(ctx, texts, "document", "passage", "corpus")
}

// vectors puts the first of some prompts before each text that the model has, or none.
func (b *BiEncoder) vectors(ctx context.Context, texts []string, prompts ...string) (x [][]float32, err error) {
	err = b.Model.Do(ctx, func(s *model.Session) error {
		for _, prompt := range append(prompts, "") {
			x, err = b.embedder.Embed(ctx, s, texts, task.Vectors{Prompt: prompt})
			if prompt == "" || !errors.Is(err, task.ErrUsage) {
				return err
			}
		}
		return nil
	})
	for _, v := range x {
		unit(v)
	}
	return x, err
}

// unit gives a vector length 1; one of length 0 stays.
func unit(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	for i, x := range v {
		v[i] = float32(float64(x) / math.Sqrt(sum))
	}
}
