package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/extend"
	"sparrow/internal/rng"
	"sparrow/saved"
	"sparrow/task"
)

// Pairs is a subject from elsewhere: a network that was trained on one language gets the vocabulary of another, by a table of texts
// with their translations.
type Pairs struct {
	ParentFrom string   `toml:"parent_from"` // environment variable with its checkpoint
	TableFrom  string   `toml:"table_from"`  // and with the table
	Columns    []string `toml:"columns"`     // its language, and the new one
	Kind       string   `toml:"tokenizer"`   // of the new vocabulary
	Size       int      `toml:"size"`        // of it
	Begin      string   `toml:"begin"`       // token before each text
	Length     int      `toml:"length"`      // tokens of a text that is measured, with the parent's vocabulary; what is longer is cut
	Window     int      `toml:"window"`      // tokens of a sequence of further training
	Held       int      `toml:"held"`        // texts that are measured, and as many that choose rates
	Most       int      `toml:"most"`        // pairs that are used; 0: all
}

// subject is the same parent for each seed; the seed draws which texts are held out.
func (p Pairs) subject(ctx context.Context, claim *Claim, seed int, dir string) (*subject, error) {
	from := map[string]string{}
	for _, name := range []string{p.ParentFrom, p.TableFrom} {
		if from[name] = os.Getenv(name); from[name] == "" {
			return nil, fmt.Errorf("set %s: a model from elsewhere is made a checkpoint by `model import`, a table has the columns %s", name, strings.Join(p.Columns, " and "))
		}
	}
	corpus, err := extend.ReadPairs(from[p.TableFrom], p.Columns)
	if err != nil {
		return nil, err
	}
	pairs := corpus.Pairs
	draw := rng.New(uint64(seed), "claims/vocabulary/pairs", 0)
	for i := range pairs {
		j := i + draw.Intn(len(pairs)-i)
		pairs[i], pairs[j] = pairs[j], pairs[i]
	}
	if p.Most > 0 {
		pairs = pairs[:min(p.Most, len(pairs))]
	}
	if len(pairs) < 4*p.Held {
		return nil, fmt.Errorf("%d pairs; want 4 times the %d that are measured", len(pairs), p.Held)
	}
	parent, err := saved.Describe(from[p.ParentFrom], "", false)
	if err != nil {
		return nil, err
	}
	before, err := task.ReadTokenizer(parent.Files)
	if err != nil {
		return nil, err
	}
	s := &subject{parent: from[p.ParentFrom], begin: p.Begin, length: 2 * p.Length} // in a new vocabulary a text may be longer
	encode := tokenizers.NewEncoder(before)
	cut := func(text string) (string, error) {
		for {
			ids, err := encode(nil, text)
			if err != nil || len(ids) < p.Length {
				return text, err
			}
			at := strings.LastIndexByte(strings.TrimSpace(text), ' ')
			if at <= 0 {
				return "", errors.New("a word is longer than a row")
			}
			text = text[:at]
		}
	}
	for i, pair := range pairs[:2*p.Held] {
		text, err := cut(pair[1])
		if err != nil {
			return nil, err
		}
		if i%2 == 0 {
			s.choice = append(s.choice, text)
		} else {
			s.score = append(s.score, text)
		}
	}
	further := &extend.Corpus{Pairs: pairs[2*p.Held:]}
	var lines []string
	var documents data.Documents
	for _, pair := range further.Pairs {
		lines = append(lines, pair[1])
		documents.Add([]byte(pair[1]), "", 0)
	}
	cfg := tokenizers.DefaultConfig()
	cfg.Tokenizer, cfg.VocabSize = p.Kind, p.Size
	made, err := tokenizers.New(ctx, cfg, &documents)
	if err != nil {
		return nil, err
	}
	var special []string
	for _, piece := range tokenizers.Pieces(before) {
		if piece.Special {
			special = append(special, piece.Text)
		}
	}
	if s.after, err = tokenizers.WithSpecials(made, special); err != nil {
		return nil, err
	}
	if s.data, err = written(dir, "further", lines, s.after, p.Window); err != nil {
		return nil, err
	}
	if s.own, err = written(dir, "own", lines, before, p.Window); err != nil {
		return nil, err
	}
	embed := extend.DefaultEmbed()
	embed.Seed = uint64(seed)
	s.vectors, err = further.Embed(ctx, embed, nil)
	return s, err
}
