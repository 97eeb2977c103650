package tokenizers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/data"
)

// Config has the keys of the [data] table that choose a tokenizer.
type Config struct {
	Tokenizer string `toml:"tokenizer" doc:"byte, char, word, bpe, wordpiece or unigram (the last five made from the training split), the path of a Hugging Face tokenizer.json, or that of a BERT vocab.txt"`
	VocabSize int    `toml:"vocab_size" doc:"ids of a tokenizer that is made from text, special tokens included: 257 to 65536 for bpe, 32 to 65536 for wordpiece and unigram, 4 to 1048576 for word; a small corpus may yield fewer"`
	MinCount  int    `toml:"min_count" doc:"how often a word must occur in the training split to get an id of the word tokenizer" unit:"occurrences"`
	Lowercase bool   `toml:"lowercase" doc:"take upper case for lower case, of word, wordpiece and a vocab.txt; the latter two then drop accents too, as BERT does"`
}

// vocabLimits says how many ids a tokenizer made from text may have. Below are its special tokens and something to
// learn (of byte pairs all bytes); above 16-bit ids, and of words more than any language has in use.
var vocabLimits = map[string][2]int{
	"bpe":       {257, 1 << 16},
	"wordpiece": {32, 1 << 16},
	"unigram":   {32, 1 << 16},
	"word":      {len(wordSpecials) + 1, 1 << 20},
}

// Trained are the kinds that New makes of text, but for words and characters.
func Trained() []string { return []string{"bpe", "wordpiece", "unigram"} }

// Sizes are how many ids a kind that is made of text may have.
func Sizes(kind string) (low, high int) { return vocabLimits[kind][0], vocabLimits[kind][1] }

// names lists the named values of Config.Tokenizer for messages; New has the switch.
var names = []string{"byte", "char", "word", "bpe", "wordpiece", "unigram"}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{Tokenizer: "byte", VocabSize: 4096, MinCount: 2, Lowercase: true}
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (c Config) Validate(r *configs.Report) {
	if !isTokenizerPath(c.Tokenizer) && !slices.Contains(names, c.Tokenizer) {
		r.Errorf("tokenizer", "is unknown; want one of %s or the path of a Hugging Face tokenizer.json or a BERT vocab.txt", data.Quoted(names))
	}
	if limits, made := vocabLimits[c.Tokenizer]; made && (c.VocabSize < limits[0] || c.VocabSize > limits[1]) {
		r.Errorf("vocab_size", "is out of range; want %d to %d", limits[0], limits[1])
	}
	if c.MinCount < 1 {
		r.Errorf("min_count", "is out of range; want at least 1 occurrence")
	}
}

// isTokenizerPath tells a path from a misspelt name.
func isTokenizerPath(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".txt") || strings.ContainsAny(name, `/\`)
}

// Known returns what can be known before the text is read: the tokenizer that cfg names where it needs no text, and the number
// of ids. A tokenizer that is made from text has only the number asked for, of which a small text may yield fewer, or 0 where
// nothing but the text tells.
func Known(ctx context.Context, cfg Config) (t Tokenizer, ids int, err error) {
	if _, made := vocabLimits[cfg.Tokenizer]; made {
		return nil, cfg.VocabSize, nil
	}
	if cfg.Tokenizer == "char" {
		return nil, 0, nil
	}
	if t, err = New(ctx, cfg, nil); err != nil {
		return nil, 0, err
	}
	return t, t.VocabSize(), nil
}

// New makes the tokenizer that cfg names, from the training split where it needs text.
func New(ctx context.Context, cfg Config, train *data.Documents) (Tokenizer, error) {
	switch {
	case cfg.Tokenizer == "byte":
		return ByteTokenizer{}, nil
	case cfg.Tokenizer == "char":
		return NewCharTokenizer(train.All())
	case cfg.Tokenizer == "bpe":
		return trainBPE(ctx, train, cfg.VocabSize)
	case cfg.Tokenizer == "word":
		return trainWords(ctx, train, cfg)
	case cfg.Tokenizer == "wordpiece":
		return trainWordPiece(ctx, train, cfg)
	case cfg.Tokenizer == "unigram":
		return trainUnigram(ctx, train, cfg)
	case isTokenizerPath(cfg.Tokenizer):
		content, err := data.ReadFile(cfg.Tokenizer)
		if err != nil {
			return nil, fmt.Errorf("data: tokenizer: %w", err)
		}
		var tokenizer Tokenizer
		if strings.HasSuffix(cfg.Tokenizer, ".txt") {
			tokenizer, err = parseBERTVocab(content, cfg.Lowercase)
		} else {
			tokenizer, err = parseTokenizer(content)
		}
		if err != nil {
			return nil, fmt.Errorf("data: %s: %w", cfg.Tokenizer, err)
		}
		return tokenizer, nil
	default:
		return nil, fmt.Errorf("data: unknown tokenizer %q, want one of %s or the path of a Hugging Face tokenizer.json or a BERT vocab.txt", cfg.Tokenizer, data.Quoted(names))
	}
}
