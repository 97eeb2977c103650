package tokenizers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"sparrow/data"
)

// What the training of a unigram model goes by: sentencepiece's numbers (Kudo 2018, section 3.2, and its trainer).
const (
	unigramLongest = 16   // characters of a token
	unigramSeeds   = 10   // candidates for each token that is wanted
	unigramShrink  = 0.75 // of the candidates stay in a round
	unigramRounds  = 2    // of expectation and maximisation between two cuts
	unigramRare    = 0.5  // expected occurrences below which a candidate goes at once
	wordMark       = "▁"  // marks the beginning of a word
	unigramUnknown = "<unk>"
)

// trainUnigram learns a unigram language model of vocabSize tokens (Kudo 2018): from all frequent pieces of words it takes away,
// again and again, those without which the text is nearly as likely, while expectation and maximisation fit the probabilities of
// the rest. All characters of the text stay. Words begin with a mark and are cut at spaces and line breaks; a line break is a token.
func trainUnigram(ctx context.Context, s *data.Documents, cfg Config) (Tokenizer, error) {
	counts, err := countWords(ctx, s, func() wordCutter { return eachMarkedWord })
	if err != nil {
		return nil, err
	}
	counts = slices.DeleteFunc(counts, func(c wordCount) bool { return strings.ContainsRune(c.word, data.Separator) })
	if len(counts) == 0 {
		return nil, fmt.Errorf("data: tokenizer \"unigram\": the training text has no words")
	}
	specials := []string{unigramUnknown, endOfText}
	l := &unigramLearner{counts: counts, want: cfg.VocabSize - len(specials)}
	if err := l.seed(); err != nil {
		return nil, err
	}
	for {
		for range unigramRounds {
			if err := l.fit(ctx); err != nil {
				return nil, err
			}
		}
		if float64(len(l.pieces)) <= 1.1*float64(l.want) {
			break
		}
		if !l.prune() {
			break
		}
	}
	return l.tokenizer(specials)
}

// eachMarkedWord is a wordCutter.
func eachMarkedWord(text string, add func(word string)) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == data.Separator }) {
		add(wordMark + word)
	}
	for range strings.Count(text, "\n") {
		add("\n")
	}
}

// unigramPiece is a candidate with the logarithm of its probability.
type unigramPiece struct {
	text  string
	score float64
	kept  bool // a character, without which some word could not be spelt
}

// unigramLearner is a training under way.
type unigramLearner struct {
	counts []wordCount
	want   int
	pieces []unigramPiece
	model  *unigram
}

// seed takes all characters, and of the pieces of words that occur twice those with the most occurrences times characters.
func (l *unigramLearner) seed() error {
	chars, pieces := map[string]int{}, map[string]int{}
	var ends []int
	for _, c := range l.counts {
		ends = append(ends[:0], 0)
		for i, r := range c.word {
			end := i + utf8.RuneLen(r)
			chars[c.word[i:end]] += c.count
			ends = append(ends, end)
		}
		for i := range ends {
			for j := i + 2; j < len(ends) && j <= i+unigramLongest; j++ {
				pieces[c.word[ends[i]:ends[j]]] += c.count
			}
		}
	}
	if len(chars) > l.want {
		return fmt.Errorf("data: tokenizer \"unigram\": vocab_size leaves %d tokens, and the text has %d characters; want more tokens", l.want, len(chars))
	}
	type candidate struct {
		text string
		gain int
	}
	var all []candidate
	for text, n := range pieces {
		if n >= minPairCount {
			all = append(all, candidate{text, n * utf8.RuneCountInString(text)})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.gain, a.gain), strings.Compare(a.text, b.text))
	})
	all = all[:min(len(all), unigramSeeds*l.want)]
	sum := 0.0
	for text, n := range chars {
		l.pieces = append(l.pieces, unigramPiece{text, float64(n), true})
		sum += float64(n)
	}
	for _, c := range all {
		l.pieces = append(l.pieces, unigramPiece{c.text, float64(c.gain), false})
		sum += float64(c.gain)
	}
	slices.SortFunc(l.pieces, func(a, b unigramPiece) int { return strings.Compare(a.text, b.text) })
	for i := range l.pieces {
		l.pieces[i].score = math.Log(l.pieces[i].score / sum)
	}
	l.index()
	return nil
}

// index makes the trie of the pieces.
func (l *unigramLearner) index() {
	l.model = &unigram{vocab: map[string]int{}, unknown: -1, trie: []trieNode{{id: -1}}, scores: make([]float64, len(l.pieces))}
	for i, p := range l.pieces {
		l.model.vocab[p.text] = i
		l.model.insert(p.text, int32(i))
		l.model.scores[i] = p.score
	}
}

// fit is one round of expectation and maximisation: the expected occurrences of each piece over all ways to spell each word,
// and from them its probability, exp(digamma(n)) / exp(digamma(sum)), which makes rare pieces rarer (a Dirichlet prior, as in
// sentencepiece).
func (l *unigramLearner) fit(ctx context.Context) error {
	const parts = 64 // however many processors there are, so that sums have one order
	sums := make([][]float64, parts)
	limit, wait := make(chan struct{}, runtime.GOMAXPROCS(0)), sync.WaitGroup{}
	for part := range parts {
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			sums[part] = make([]float64, len(l.pieces))
			lattice := unigramLattice{model: l.model}
			for i := part; i < len(l.counts); i += parts {
				if ctx.Err() != nil {
					return
				}
				lattice.expect(l.counts[i].word, float64(l.counts[i].count), sums[part])
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	kept, total := l.pieces[:0], 0.0
	for i, p := range l.pieces {
		n := 0.0
		for _, s := range sums {
			n += s[i]
		}
		if n < unigramRare && !p.kept {
			continue
		}
		p.score = max(n, unigramRare)
		total += p.score
		kept = append(kept, p)
	}
	l.pieces = kept
	whole := digamma(total)
	for i := range l.pieces {
		l.pieces[i].score = digamma(l.pieces[i].score) - whole
	}
	l.index()
	return nil
}

// prune takes away the pieces that the text would miss least: a piece of n occurrences in the best spellings, which would be spelt
// by others of smaller probability, loses n times the difference of the logarithms. It is false if nothing is left to take.
func (l *unigramLearner) prune() bool {
	n := make([]float64, len(l.pieces))
	var ids []uint32
	for _, c := range l.counts {
		ids, _ = l.model.encode(ids[:0], c.word) // all characters are pieces: no word is unknown
		for _, id := range ids {
			n[id] += float64(c.count)
		}
	}
	losses := make([]float64, len(l.pieces))
	lattice := unigramLattice{model: l.model}
	for i, p := range l.pieces {
		switch other := lattice.without(p.text, int32(i)); {
		case p.kept:
			losses[i] = math.Inf(1)
		case n[i] > 0:
			losses[i] = n[i] * (p.score - other)
		}
	}
	order := make([]int, len(l.pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(losses[b], losses[a]) })
	size := max(int(unigramShrink*float64(len(order))), int(1.1*float64(l.want)))
	if size >= len(order) {
		return false
	}
	order = order[:size]
	slices.Sort(order)
	kept := make([]unigramPiece, 0, size)
	for _, i := range order {
		kept = append(kept, l.pieces[i])
	}
	l.pieces = kept
	l.index()
	return true
}

// tokenizer is the model of the likeliest pieces and all characters, as a tokenizer.json of Hugging Face's.
func (l *unigramLearner) tokenizer(specials []string) (Tokenizer, error) {
	slices.SortStableFunc(l.pieces, func(a, b unigramPiece) int { return cmp.Compare(b.score, a.score) })
	chars := 0
	for _, p := range l.pieces {
		if p.kept {
			chars++
		}
	}
	vocab := [][2]any{}
	added := []hfAdded{}
	for id, name := range specials {
		vocab = append(vocab, [2]any{name, 0.0})
		added = append(added, hfAdded{ID: id, Content: name, Special: true})
	}
	others := l.want - chars
	for _, p := range l.pieces {
		if !p.kept {
			if others == 0 {
				continue
			}
			others--
		}
		vocab = append(vocab, [2]any{p.text, p.score})
	}
	space := map[string]any{"type": "Metaspace", "replacement": wordMark, "prepend_scheme": "always", "split": true}
	content, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil, "pre_tokenizer": space,
		"post_processor": nil, "decoder": space,
		"model": map[string]any{"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false},
	})
	if err != nil {
		return nil, err
	}
	return parseTokenizer(append(content, '\n'))
}

// digamma is the derivative of the logarithm of the gamma function, for x above 0: recurrence to 7 and the asymptotic series.
func digamma(x float64) float64 {
	y := 0.0
	for ; x < 7; x++ {
		y -= 1 / x
	}
	r := 1 / (x * x)
	return y + math.Log(x) - 0.5/x - r*(1.0/12-r*(1.0/120-r*(1.0/252-r*(1.0/240-r/132))))
}
