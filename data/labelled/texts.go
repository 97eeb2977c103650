package labelled

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"sparrow/data"
)

// Corpus is the text of all splits of labelled examples.
type Corpus struct {
	Train, Validation, Test *Texts   // without validation a share of train is held out; test may be nil
	Labels                  []string // names of the classes by id; nil: regression
	Files                   int      // files read
	Unlabelled              bool     // no text has a label
}

// Texts is one split: a document an example, or two for pairs.
type Texts struct {
	data.Documents
	Pairs  bool
	Labels []int32   // class ids; nil: scores
	Scores []float64 // nil: labels
	Keys   []string  // of split_by; nil: none

	truth []string // of another column, beside labels; nil: not read
}

// AddText appends a document, which may be empty.
func (l *Texts) AddText(text, path string) {
	start := len(l.Text)
	l.Text = append(l.Text, text...)
	l.Close(start, path, 0)
}

// perExample is the number of documents an example has.
func (l *Texts) perExample() int {
	if l.Pairs {
		return 2
	}
	return 1
}

func (l *Texts) len() int { return len(l.List) / l.perExample() }

// take returns the examples with the given indices, in that order.
func (l *Texts) take(indices []int) *Texts {
	out := &Texts{Pairs: l.Pairs}
	for _, i := range indices {
		for d := range l.perExample() {
			j := i*l.perExample() + d
			out.AddText(l.Content(j), l.List[j].Path)
		}
		if l.Keys != nil {
			out.Keys = append(out.Keys, l.Keys[i])
		}
		if l.Labels != nil {
			out.Labels = append(out.Labels, l.Labels[i])
		} else {
			out.Scores = append(out.Scores, l.Scores[i])
		}
		if l.truth != nil {
			out.truth = append(out.truth, l.truth[i])
		}
	}
	return out
}

// textHash is of the texts of an example without its label.
func (l *Texts) textHash(i int) [sha256.Size]byte {
	first, last := l.List[i*l.perExample()], l.List[(i+1)*l.perExample()-1]
	return sha256.Sum256(l.Text[first.Start:last.End]) // the separator is between two texts
}

// byHash returns the examples in the order of the hashes of their texts.
func (l *Texts) byHash() []data.Hashed { return data.SortByHash(l.len(), l.textHash) }

// capExamples returns at most limit examples, those with the least hashes, in the order of the split. 0 takes all.
func (l *Texts) capExamples(limit int) *Texts {
	if limit == 0 || l.len() <= limit {
		return l
	}
	return l.take(data.LeastHashes(l.byHash(), limit))
}

// holdOut splits off a share of each class for validation or, where there are keys, a share of all with the same key together.
func (l *Texts) holdOut(share float64) (train, validation *Texts) {
	if l.Keys != nil {
		byKey := data.SortByHash(l.len(), func(i int) [sha256.Size]byte { return sha256.Sum256([]byte(l.Keys[i])) })
		keep, out := data.HoldOut(byKey, nil, share)
		return l.take(keep), l.take(out)
	}
	keep, out := data.HoldOut(l.byHash(), l.Labels, share)
	return l.take(keep), l.take(out)
}

// hash returns the SHA-256 of texts and labels of all splits in order, as hexadecimal. File names are left out: a corpus
// that moves is still the same.
func (c *Corpus) hash() string {
	h := sha256.New()
	number := func(n uint64) { h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	for _, name := range c.Labels {
		number(uint64(len(name)))
		h.Write([]byte(name))
	}
	for _, l := range []*Texts{c.Train, c.Validation, c.Test} {
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
		for _, label := range l.Labels {
			number(uint64(label))
		}
		for _, score := range l.Scores {
			number(math.Float64bits(score))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// read reads a source and holds out the validation split where it has none.
func read(ctx context.Context, from Source, labels []string) (*Corpus, error) {
	c, err := from.Read(ctx, labels)
	if err != nil {
		return nil, err
	}
	return c, c.split(from)
}

// split holds out the validation split where there is none.
func (c *Corpus) split(from Source) error {
	share := from.Labelled().ValidationShare
	if c.Validation == nil {
		c.Train, c.Validation = c.Train.holdOut(share)
	}
	for _, half := range []struct {
		name  string
		texts *Texts
	}{{"training", c.Train}, {"validation", c.Validation}} {
		if half.texts.len() == 0 {
			return fmt.Errorf("data: source %q: nothing is left for %s with validation_share = %v", from.Name(), half.name, share)
		}
	}
	return nil
}
