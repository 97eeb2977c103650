package tokenizers

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"sparrow/data"
)

// wordPiecePrefix marks tokens within words.
const wordPiecePrefix = "##"

// maxAlphabet is how many distinct characters a trained WordPiece vocabulary spells words with, the most frequent ones,
// as in Hugging Face's trainer; a word with another one is unknown.
const maxAlphabet = 1000

// trainWordPiece learns a WordPiece vocabulary from the documents of s, as Hugging Face's WordPieceTrainer does: words are
// those of BERT; they start as their characters, those within a word with the prefix "##"; and the most frequent pair of
// neighbouring tokens becomes a token, again and again (the merges of byte-pair encoding, Sennrich et al. 2016, rather than
// the unpublished likelihood score of the original). Ties go to the pair with the lower ids, so that, unlike there, equal
// text gives an equal vocabulary. Encoding then spells a word with its longest tokens, whatever the merges were.
//
// Ids: the five special tokens, the alphabet in the order of its code points, those of it that occur within words with the
// prefix, then one id a merge. There are fewer than
// vocab_size when no pair is left that occurs twice.
func trainWordPiece(ctx context.Context, s *data.Documents, cfg Config) (*WordPiece, error) {
	normalizer := bertNormalizer{CleanText: true, ChineseChars: true, Lowercase: cfg.Lowercase}
	counts, err := countWords(ctx, s, func() wordCutter { return normalizer.eachWord })
	if err != nil {
		return nil, err
	}
	if len(counts) == 0 {
		return nil, errors.New(`data: tokenizer "wordpiece": the training text has no words`)
	}
	learner := newWordPieceLearner(counts, min(maxAlphabet, (cfg.VocabSize-len(bertSpecials))/2))
	if _, err := learner.learn(ctx, cfg.VocabSize); err != nil {
		return nil, err
	}
	return parseWordPiece(bertFile(learner.texts, cfg.Lowercase))
}

// newWordPieceLearner starts from the most frequent characters, at most limit of them.
func newWordPieceLearner(counts []wordCount, limit int) *bpeLearner {
	l := &bpeLearner{prefix: wordPiecePrefix, ids: map[string]int32{}, pairs: map[uint64]int{}, where: map[uint64][]int32{}}
	add := func(token string) {
		if _, exists := l.ids[token]; !exists {
			l.ids[token] = int32(len(l.texts))
			l.texts = append(l.texts, token)
		}
	}
	for _, token := range bertSpecials {
		add(token)
	}
	alphabet := frequentRunes(counts, limit)
	inner := map[rune]bool{} // the characters that occur within words
	for _, wc := range counts {
		for i, r := range wc.word {
			if i > 0 {
				inner[r] = true
			}
		}
	}
	for _, r := range alphabet {
		add(string(r))
	}
	for _, r := range alphabet {
		if inner[r] {
			add(wordPiecePrefix + string(r))
		}
	}
	for _, wc := range counts {
		if word := l.spell(wc.word); word != nil {
			l.words, l.counts = append(l.words, word), append(l.counts, wc.count)
		}
	}
	return l
}

// frequentRunes returns the most frequent characters of the words, at most limit, in the order of their code points.
func frequentRunes(counts []wordCount, limit int) []rune {
	seen := map[rune]int{}
	for _, wc := range counts {
		for _, r := range wc.word {
			seen[r] += wc.count
		}
	}
	runes := slices.SortedFunc(maps.Keys(seen), func(a, b rune) int {
		return cmp.Or(cmp.Compare(seen[b], seen[a]), cmp.Compare(a, b))
	})
	runes = runes[:min(limit, len(runes))]
	slices.Sort(runes)
	return runes
}

// spell returns the characters of word as tokens, or nil if one is not in the alphabet or the word is too long to be
// encoded.
func (l *bpeLearner) spell(word string) []int32 {
	if utf8.RuneCountInString(word) > bertMaxRunes {
		return nil
	}
	tokens := make([]int32, 0, len(word))
	for i, r := range word {
		text := string(r)
		if i > 0 {
			text = l.prefix + text
		}
		id, ok := l.ids[text]
		if !ok {
			return nil
		}
		tokens = append(tokens, id)
	}
	return tokens
}
