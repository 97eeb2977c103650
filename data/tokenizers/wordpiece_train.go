package tokenizers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// bertSpecials are the special tokens of BERT, in the order in which a trained vocabulary begins with them.
var bertSpecials = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// bertMaxRunes is the length from which BERT takes a word for unknown.
const bertMaxRunes = 100

// parseBERTVocab reads a vocab.txt: one token a line, whose id is the number of the line from 0. Ids of text equal those
// of Hugging Face's BertTokenizer(vocab_file, do_lower_case=lowercase); it strips accents if it lowers case.
func parseBERTVocab(content []byte, lowercase bool) (*WordPiece, error) {
	if at := data.InvalidUTF8(string(content)); at >= 0 {
		return nil, fmt.Errorf("not valid UTF-8 at byte %d (0x%02x)", at, content[at])
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	first := make(map[string]int, len(lines))
	for i, token := range lines {
		if token == "" {
			return nil, fmt.Errorf("line %d is empty, want a token", i+1)
		}
		if before, twice := first[token]; twice {
			return nil, fmt.Errorf("line %d has token %q again, which line %d has", i+1, token, before+1)
		}
		first[token] = i
	}
	for _, needed := range []string{"[UNK]", "[CLS]", "[SEP]"} {
		if _, ok := first[needed]; !ok {
			return nil, fmt.Errorf("no token %s in %d lines; want the vocab.txt of a BERT", needed, len(lines))
		}
	}
	return parseWordPiece(bertFile(lines, lowercase))
}

// bertFile returns the tokenizer.json of a BERT with these tokens, as Hugging Face's BertTokenizerFast saves it.
func bertFile(tokens []string, lowercase bool) []byte {
	type object = map[string]any
	vocab := make(map[string]int, len(tokens)) // encoding/json sorts keys
	for id, token := range tokens {
		vocab[token] = id
	}
	added := []object{}
	for id, token := range tokens {
		if slices.Contains(bertSpecials, token) {
			added = append(added, object{"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
				"normalized": false, "special": true})
		}
	}
	piece := func(kind, name string, typeID int) object { return object{kind: object{"id": name, "type_id": typeID}} }
	single := []object{piece("SpecialToken", "[CLS]", 0), piece("Sequence", "A", 0), piece("SpecialToken", "[SEP]", 0)}
	named := func(name string) object {
		return object{"id": name, "ids": []int{vocab[name]}, "tokens": []string{name}}
	}
	content, err := json.Marshal(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil,
			"lowercase": lowercase},
		"pre_tokenizer": object{"type": "BertPreTokenizer"},
		"post_processor": object{"type": "TemplateProcessing", "single": single,
			"pair":           append(single[:3:3], piece("Sequence", "B", 1), piece("SpecialToken", "[SEP]", 1)),
			"special_tokens": object{"[CLS]": named("[CLS]"), "[SEP]": named("[SEP]")}},
		"decoder": object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
			"max_input_chars_per_word": bertMaxRunes, "vocab": vocab},
	})
	if err != nil {
		panic(err) // strings, numbers and maps of them always marshal
	}
	return append(content, '\n')
}
