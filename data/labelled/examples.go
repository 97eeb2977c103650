package labelled

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"sparrow/data/tokenizers"
)

// Example is one labelled text or pair of texts.
type Example struct {
	Tokens []int
	Types  []int   // of each token: 0 for the first text and the special tokens around it, 1 for the second
	Label  int     // class id; 0 for regression
	Score  float64 // for regression; 0 for classes
}

// Examples is a read-only list of examples. Tokens take the narrowest integer that the vocabulary allows, and an example
// twelve bytes besides them, or less.
type Examples struct {
	tokens *tokenizers.Tokens
	ends   []int32 // in tokens, of each example
	typed  []int32 // where the types of each example turn to 1, or its second text begins; nil: nowhere
	apart  bool    // the two texts of each pair are read by themselves, a row for each
	labels []int32 // nil: scores
	scores []float64
	pad    int

	cut     int // examples that were too long
	unknown int // tokens that stand for unknown words
}

// Len returns the number of examples.
func (x *Examples) Len() int { return len(x.ends) }

// TokenCount returns the number of tokens over all examples.
func (x *Examples) TokenCount() int { return x.tokens.Len() }

// Cut returns how many examples were longer than max_len.
func (x *Examples) Cut() int { return x.cut }

// Length returns the number of tokens of example i; of texts apart that of the longer one.
func (x *Examples) Length(i int) int {
	n := int(x.ends[i]) - x.start(i)
	if x.apart {
		n = max(int(x.typed[i]), n-int(x.typed[i]))
	}
	return n
}

// Texts returns the tokens of the two texts of example i that are apart.
func (x *Examples) Texts(i int) (pair [2][]int) {
	start, middle, end := x.start(i), x.start(i)+int(x.typed[i]), int(x.ends[i])
	pair = [2][]int{make([]int, middle-start), make([]int, end-middle)}
	x.tokens.Copy(pair[0], start)
	x.tokens.Copy(pair[1], middle)
	return pair
}

// Score returns the score of example i.
func (x *Examples) Score(i int) float64 { return x.scores[i] }

func (x *Examples) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(x.ends[i-1])
}

// At returns example i.
func (x *Examples) At(i int) Example {
	e := Example{Tokens: make([]int, x.Length(i)), Types: make([]int, x.Length(i))}
	x.copyTokens(e.Tokens, e.Types, i)
	e.Label, e.Score = x.answer(i)
	return e
}

// copyTokens writes the first tokens and types of example i, as many as there is room for; the rest of types must be 0.
func (x *Examples) copyTokens(tokens, types []int, i int) {
	x.tokens.Copy(tokens, x.start(i))
	if x.typed == nil {
		return
	}
	for j := int(x.typed[i]); j < len(types); j++ {
		types[j] = 1
	}
}

// answer returns the class or the score of example i.
func (x *Examples) answer(i int) (label int, score float64) {
	if x.labels != nil {
		return int(x.labels[i]), 0
	}
	return 0, x.scores[i]
}

// LabelCounts returns how many examples each of the first classes has; nil for regression.
func (x *Examples) LabelCounts(classes int) []int {
	if x.labels == nil {
		return nil
	}
	counts := make([]int, classes)
	for _, label := range x.labels {
		counts[label]++
	}
	return counts
}

// encodeBlock is how many examples a goroutine encodes at a time.
const encodeBlock = 256

// encodeExamples returns the examples of l, encoded by as many goroutines as there are processors; each writes to places of
// its own, so the result does not depend on their number. The texts of a pair are one sequence or apart.
func encodeExamples(ctx context.Context, l *Texts, tokenizer tokenizers.Tokenizer, cfg Lengths, apart bool) (*Examples, error) {
	type block struct {
		tokens       *tokenizers.Tokens
		ends, typed  []int32 // ends from the block's beginning
		cut, unknown int
		err          error
	}
	blocks := make([]block, (l.len()+encodeBlock-1)/encodeBlock)
	var taken atomic.Int64
	var workers sync.WaitGroup
	specials := tokenizers.Specials(tokenizer)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			encoder, err := NewTextEncoder(tokenizer, cfg)
			var ids []uint32
			for n := int(taken.Add(1)) - 1; n < len(blocks); n = int(taken.Add(1)) - 1 {
				b := &blocks[n]
				if b.err = err; ctx.Err() != nil {
					b.err = ctx.Err()
				}
				ids = ids[:0]
				for i := n * encodeBlock; i < min((n+1)*encodeBlock, l.len()) && b.err == nil; i++ {
					first, second := l.Content(i*l.perExample()), ""
					if l.Pairs {
						second = l.Content(2*i + 1)
					}
					var typed int
					var cut bool
					if start := len(ids); apart {
						var other bool
						if ids, _, cut, b.err = encoder.append(ids, first, "", false); b.err == nil {
							typed = len(ids) - start
							ids, _, other, b.err = encoder.append(ids, second, "", false)
						}
						cut = cut || other
					} else {
						ids, typed, cut, b.err = encoder.append(ids, first, second, l.Pairs)
					}
					if cut {
						b.cut++
					}
					b.ends, b.typed = append(b.ends, int32(len(ids))), append(b.typed, int32(typed))
				}
				b.tokens = tokenizers.MakeTokens(tokenizer.VocabSize(), len(ids))
				for _, id := range ids {
					b.tokens.Append(int(id))
					if int(id) == specials.Unknown {
						b.unknown++
					}
				}
			}
		})
	}
	workers.Wait()
	total := 0
	for _, b := range blocks {
		if b.err != nil {
			return nil, b.err
		}
		total += b.tokens.Len()
	}
	if total > math.MaxInt32 {
		return nil, fmt.Errorf("data: %d tokens in %d examples, want at most %d; lower max_len or set max_examples", total, l.len(), math.MaxInt32)
	}
	x := &Examples{tokens: tokenizers.MakeTokens(tokenizer.VocabSize(), total), ends: make([]int32, 0, l.len()), labels: l.Labels, scores: l.Scores, pad: specials.Pad, apart: apart}
	for _, b := range blocks {
		base := int32(x.tokens.Len())
		for _, end := range b.ends {
			x.ends = append(x.ends, base+end)
		}
		if l.Pairs {
			x.typed = append(x.typed, b.typed...)
		}
		x.tokens.AppendAll(b.tokens)
		x.cut += b.cut
		x.unknown += b.unknown
	}
	return x, nil
}
