package labelled

import (
	"context"
	"fmt"
	"strings"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Dataset is a corpus of texts, or pairs of texts, with a class or a score each.
type Dataset struct {
	Tokenizer  tokenizers.Tokenizer
	Labels     []string  // class names in the order of their ids; nil: regression
	Pairs      bool      // two texts an example
	Unlabelled bool      // no text has a label
	Train      *Examples // as the files have them; a loader shuffles
	Validation *Examples
	Test       *Examples // nil: none
	Vectors    *Vectors  // pretrained vectors of the tokenizer's words; nil: none

	// SHA256 identifies texts and labels of all splits, in hexadecimal. The tokenizer is not part of it.
	SHA256 string

	source    string
	files     int
	textBytes int
	maxLen    int
}

// Open reads a source, makes its tokenizer from the training split and encodes all splits. It fails
// with one clear error when a key of the source is wrong, a file is missing, unreadable or malformed (with its line), or there is nothing to
// tell apart.
func Open(ctx context.Context, from Source) (*Dataset, error) { return OpenWith(ctx, from, nil, nil) }

// OpenPairs is OpenWith of pairs of texts with scores, whose texts are read apart.
func OpenPairs(ctx context.Context, from Source, tokenizer tokenizers.Tokenizer) (*Dataset, error) {
	return open(ctx, from, tokenizer, nil, true)
}

// OpenWith is Open with a tokenizer and labels that exist already, such as those of a checkpoint: a class
// that is not among labels is an error. With labels nil (regression) scores are read. The source's own choice of
// a tokenizer and of word vectors counts only where tokenizer is nil.
func OpenWith(ctx context.Context, from Source, tokenizer tokenizers.Tokenizer, labels []string) (*Dataset, error) {
	return open(ctx, from, tokenizer, labels, false)
}

func open(ctx context.Context, from Source, tokenizer tokenizers.Tokenizer, labels []string, apart bool) (*Dataset, error) {
	if err := data.Check(from); err != nil {
		return nil, err
	}
	c, err := read(ctx, from, labels)
	if err != nil {
		return nil, err
	}
	if apart && (!c.Train.Pairs || c.Train.Scores == nil) {
		return nil, fmt.Errorf("data: source %q has no pairs of texts with scores", from.Name())
	}
	cfg := from.Labelled()
	if tokenizer != nil {
		cfg.Vectors = ""
	} else {
		if tokenizer, err = tokenizers.New(ctx, cfg.Config, &c.Train.Documents); err != nil {
			return nil, err
		}
	}
	d := &Dataset{Tokenizer: tokenizer, Labels: c.Labels, Pairs: c.Train.Pairs, Unlabelled: c.Unlabelled, SHA256: c.hash(), source: from.Name(), files: c.Files, maxLen: cfg.MaxLen}
	if cfg.Vectors != "" {
		if d.Vectors, err = LoadVectors(cfg.Vectors, tokenizer); err != nil {
			return nil, err
		}
	}
	for _, half := range []struct {
		texts *Texts
		into  **Examples
	}{{c.Train, &d.Train}, {c.Validation, &d.Validation}, {c.Test, &d.Test}} {
		if half.texts == nil {
			continue
		}
		if *half.into, err = encodeExamples(ctx, half.texts, tokenizer, cfg.Lengths, apart); err != nil {
			return nil, err
		}
		d.textBytes += len(half.texts.Text) - len(half.texts.List) // less the separators
	}
	return d, nil
}

// Examples reads another file with these columns, for a model that exists: its tokenizer, and its labels (nil: regression).
func (s Table) Examples(ctx context.Context, path string, tokenizer tokenizers.Tokenizer, labels []string) (*Examples, error) {
	s.Train, s.Regression = path, labels == nil
	if err := data.Check(s); err != nil {
		return nil, err
	}
	texts, _, err := s.readFile(path, labels)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return encodeExamples(ctx, texts.capExamples(s.MaxExamples), tokenizer, s.Lengths, false)
}

// TextBytes is the size of the text of all splits.
func (d *Dataset) TextBytes() int { return d.textBytes }

// Describe returns one line for logs: source, examples, lengths, vocabulary and classes.
func (d *Dataset) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d training, %d validation", d.source, d.Train.Len(), d.Validation.Len())
	if d.Test != nil {
		fmt.Fprintf(&b, " and %d test", d.Test.Len())
	}
	kind := "texts"
	if d.Pairs {
		kind = "pairs of texts"
	}
	fmt.Fprintf(&b, " %s, %.1f MB, %.1f tokens each (%s cut at %d), %s tokenizer with %d ids", kind, float64(d.textBytes)/1e6,
		float64(d.Train.TokenCount())/float64(d.Train.Len()), data.Percent(d.Train.cut, d.Train.Len()), d.maxLen, d.Tokenizer.Kind(), d.Tokenizer.VocabSize())
	if tokenizers.Specials(d.Tokenizer).Unknown >= 0 {
		fmt.Fprintf(&b, " (%s of validation unknown)", data.Percent(d.Validation.unknown, d.Validation.TokenCount()))
	}
	if d.Unlabelled {
		b.WriteString(", without labels")
	} else if d.Labels == nil {
		low, high, mean := d.Train.scoreRange()
		fmt.Fprintf(&b, ", scores %g to %g, mean %.3g", low, high, mean)
	} else {
		b.WriteString(", ")
		b.WriteString(data.Shares(d.Labels, d.Train.LabelCounts(len(d.Labels)), d.Train.Len()))
	}
	if d.Vectors != nil {
		fmt.Fprintf(&b, ", vectors of %d numbers for %s of the words", d.Vectors.Dim, data.Percent(d.Vectors.Found, d.Vectors.Found+d.Vectors.Missing))
	}
	return b.String()
}

// scoreRange returns the least, the largest and the mean score.
func (x *Examples) scoreRange() (low, high, mean float64) {
	low, high = x.scores[0], x.scores[0]
	for _, score := range x.scores {
		low, high = min(low, score), max(high, score)
		mean += score / float64(len(x.scores))
	}
	return low, high, mean
}
