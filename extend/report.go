package extend

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/data/tokenizers"
)

// Report is extension.json: where the rows of the new vocabulary come from.
type Report struct {
	Start  string `json:"init"`
	Before int    `json:"tokens_before"`
	After  int    `json:"tokens"`

	Copied  int   `json:"copied"`      // rows of tokens that both vocabularies have
	Similar int   `json:"similar"`     // mixtures of old rows
	Fallen  int   `json:"fallen_back"` // rows without a vector
	Unused  int   `json:"unused"`      // ids without a token
	New     []int `json:"new"`         // ids whose rows are not copied, as runs: first, one past the last, first, ...

	WithVector int `json:"old_with_vector,omitempty"` // old pieces that words' vectors reach, of Pieces
	Pieces     int `json:"old_pieces,omitempty"`

	// Shares are those of a text's tokens whose rows are copied, similar and fallen back; null: no text was given.
	Shares *[3]float64 `json:"shares_of_text"`
	// TokensPerWord are how many tokens a word of that text has with the old and the new vocabulary.
	TokensPerWord *[2]float64 `json:"tokens_per_word,omitempty"`

	Rank             int     `json:"rank,omitempty"`
	Energy           float64 `json:"energy,omitempty"` // share of the old embedding's squares that the factors keep
	ParametersBefore int     `json:"parameters_before"`
	ParametersAfter  int     `json:"parameters"`
}

// classes of rows.
const (
	copied = iota
	mixed
	fallen
	unused
)

// class is where the row of a token comes from.
func (p *rows) class(id int, pieces []tokenizers.Piece) int {
	switch _, ok := p.mixtures[id]; {
	case p.from[id] >= 0:
		return copied
	case ok:
		return mixed
	case !pieces[id].Defined:
		return unused
	}
	return fallen
}

// count fills in the numbers of rows, and their shares of the text.
func (r *Report) count(p *rows, before tokenizers.Tokenizer, s Settings) error {
	pieces := tokenizers.Pieces(s.Tokenizer)
	totals := [4]int{}
	for id := range p.from {
		c := p.class(id, pieces)
		totals[c]++
		if c == copied {
			continue
		}
		if n := len(r.New); n > 0 && r.New[n-1] == id {
			r.New[n-1] = id + 1
		} else {
			r.New = append(r.New, id, id+1)
		}
	}
	r.Copied, r.Similar, r.Fallen, r.Unused = totals[copied], totals[mixed], totals[fallen], totals[unused]
	if s.Text == nil {
		return nil
	}
	encode, earlier := tokenizers.NewEncoder(s.Tokenizer), tokenizers.NewEncoder(before)
	var ids []uint32
	var failed error
	seen, words, all, allBefore := [4]int{}, 0, 0, 0
	s.Text(func(text string) {
		var err error
		if ids, err = earlier(ids[:0], text); err == nil {
			allBefore += len(ids)
			ids, err = encode(ids[:0], text)
		}
		if err != nil {
			failed = err
			return
		}
		words += len(strings.Fields(text))
		all += len(ids)
		for _, id := range ids {
			seen[p.class(int(id), pieces)]++
		}
	})
	if failed != nil {
		return fmt.Errorf("extend: the text to weigh tokens by: %w", failed)
	}
	if all == 0 || words == 0 {
		return errNoPieces
	}
	n := float64(all)
	r.TokensPerWord = &[2]float64{float64(allBefore) / float64(words), n / float64(words)}
	r.Shares = &[3]float64{float64(seen[copied]) / n, float64(seen[mixed]) / n, float64(seen[fallen]) / n}
	return nil
}

// IsNew tells whether the row of a token is not copied.
func (r Report) IsNew(id int) bool {
	at, _ := slices.BinarySearch(r.New, id+1)
	return at%2 == 1
}

// String are the lines that a person reads.
func (r Report) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, fmt.Sprintf(format, args...))
	}
	share := func(i int) string {
		if r.Shares == nil {
			return ""
		}
		return fmt.Sprintf(", %.1f%% of the text", 100*r.Shares[i])
	}
	line("tokens", "%d, before %d", r.After, r.Before)
	if t := r.TokensPerWord; t != nil {
		line("a word", "%.2f tokens, before %.2f", t[1], t[0])
	}
	line("copied", "%d%s", r.Copied, share(copied))
	if r.Pieces > 0 || r.Similar > 0 {
		line("similar", "%d%s", r.Similar, share(mixed))
	}
	line("fallen back", "%d%s", r.Fallen, share(fallen))
	if r.Unused > 0 {
		line("unused", "%d ids that no token has", r.Unused)
	}
	if r.Pieces > 0 {
		line("vectors", "of %d of %d old tokens", r.WithVector, r.Pieces)
	}
	if r.Rank > 0 {
		line("embedding", "rank %d, which keeps %.2f%% of its energy", r.Rank, 100*r.Energy)
	}
	line("parameters", "%d, before %d", r.ParametersAfter, r.ParametersBefore)
	return b.String()
}
