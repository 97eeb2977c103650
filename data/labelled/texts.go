package labelled

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"sparrow/data"
)

// labelledCorpus is the text of all splits of labelled examples.
type labelledCorpus struct {
	train, validation, test *labelledTexts // validation is nil until it is held out; test may be nil
	labels                  []string       // names of the classes by id; nil: regression
	files                   int
}

// labelledTexts is one split: a document an example, or two for pairs.
type labelledTexts struct {
	data.Documents
	pairs  bool
	labels []int32   // class ids; nil: scores
	scores []float64 // nil: labels
}

// addText appends a document, which may be empty.
func (l *labelledTexts) addText(text, path string) {
	start := len(l.Text)
	l.Text = append(l.Text, text...)
	l.Close(start, path, 0)
}

// perExample is the number of documents an example has.
func (l *labelledTexts) perExample() int {
	if l.pairs {
		return 2
	}
	return 1
}

func (l *labelledTexts) len() int { return len(l.List) / l.perExample() }

// take returns the examples with the given indices, in that order.
func (l *labelledTexts) take(indices []int) *labelledTexts {
	out := &labelledTexts{pairs: l.pairs}
	for _, i := range indices {
		for d := range l.perExample() {
			j := i*l.perExample() + d
			out.addText(l.Content(j), l.List[j].Path)
		}
		if l.labels != nil {
			out.labels = append(out.labels, l.labels[i])
		} else {
			out.scores = append(out.scores, l.scores[i])
		}
	}
	return out
}

// textHash is of the texts of an example without its label.
func (l *labelledTexts) textHash(i int) [sha256.Size]byte {
	first, last := l.List[i*l.perExample()], l.List[(i+1)*l.perExample()-1]
	return sha256.Sum256(l.Text[first.Start:last.End]) // the separator is between two texts
}

// byHash returns the examples in the order of the hashes of their texts.
func (l *labelledTexts) byHash() []data.Hashed { return data.SortByHash(l.len(), l.textHash) }

// capExamples returns at most limit examples, those with the least hashes, in the order of the split. 0 takes all.
func (l *labelledTexts) capExamples(limit int) *labelledTexts {
	if limit == 0 || l.len() <= limit {
		return l
	}
	return l.take(data.LeastHashes(l.byHash(), limit))
}

// holdOut splits off a share of each class for validation.
func (l *labelledTexts) holdOut(share float64) (train, validation *labelledTexts) {
	keep, out := data.HoldOut(l.byHash(), l.labels, share)
	return l.take(keep), l.take(out)
}

// hash returns the SHA-256 of texts and labels of all splits in order, as hexadecimal. File names are left out: a corpus
// that moves is still the same.
func (c *labelledCorpus) hash() string {
	h := sha256.New()
	number := func(n uint64) { h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	for _, name := range c.labels {
		number(uint64(len(name)))
		h.Write([]byte(name))
	}
	for _, l := range []*labelledTexts{c.train, c.validation, c.test} {
		if l == nil {
			number(0)
			continue
		}
		number(uint64(len(l.List)))
		for i := range l.List {
			text := l.Text[l.List[i].Start:l.List[i].End]
			number(uint64(len(text)))
			h.Write(text)
		}
		for _, label := range l.labels {
			number(uint64(label))
		}
		for _, score := range l.scores {
			number(math.Float64bits(score))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// readLabelled reads the source that cfg names and holds out the validation split. With labels, those of a checkpoint,
// classes are known and get their ids; another one is an error.
func readLabelled(ctx context.Context, cfg Config, labels []string) (*labelledCorpus, error) {
	var c *labelledCorpus
	var err error
	switch cfg.Source {
	case "imdb":
		if labels != nil && !slices.Equal(labels, imdbLabels) {
			return nil, fmt.Errorf(`data: source "imdb" has labels %q, but the model was trained on %q`, imdbLabels, labels)
		}
		c, err = openIMDB(ctx, cfg)
	case "tsv":
		c, err = openTSV(ctx, cfg, labels)
	}
	if err != nil {
		return nil, err
	}
	if c.validation == nil {
		c.train, c.validation = c.train.holdOut(cfg.ValidationShare)
	}
	for _, half := range []struct {
		name  string
		texts *labelledTexts
	}{{"training", c.train}, {"validation", c.validation}} {
		if half.texts.len() == 0 {
			return nil, fmt.Errorf("data: source %q: nothing is left for %s with validation_share = %v", cfg.Source, half.name, cfg.ValidationShare)
		}
	}
	return c, nil
}
