package main

import (
	"fmt"
	"math"
	"slices"

	"sparrow/data/tokenizers"
	"sparrow/extend"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// subject is what the arms of a seed share.
type subject struct {
	parent  string // checkpoint or run
	after   tokenizers.Tokenizer
	vectors extend.Words
	fresh   []bool // of the new vocabulary: tokens that the parent does not have; nil: those are not told apart
	data    recipe.Data
	own     recipe.Data // of further training with the parent's vocabulary
	length  int         // of rows that are measured
	begin   string      // token before each text, which then is a row; empty: texts are read on end

	choice, score []string // texts that choose rates, and those that are reported
}

// Loss is what a network makes of texts.
type Loss struct {
	Nats  float64 `json:"nats"`            // a token
	New   float64 `json:"new,omitempty"`   // a new token
	Share float64 `json:"share,omitempty"` // of them
	Bits  float64 `json:"bits"`            // a byte
}

// batch is how many rows are measured at once.
const batch = 16

// loss measures a checkpoint. Tokens are predicted from those before them in their row; the first of a row is not predicted.
func (s *subject) loss(dir string, texts []string) (Loss, error) {
	m, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		return Loss{}, err
	}
	defer m.Close()
	tokenizer, err := task.ReadTokenizer(m.Files)
	if err != nil {
		return Loss{}, err
	}
	rows, bytes, err := s.cut(texts, tokenizer)
	if err != nil {
		return Loss{}, err
	}
	session, err := model.NewSession(m.Session.Network(), m.Session.Store(), m.Config.Model.Represented(model.Options{Sites: []string{"logits"}}))
	if err != nil {
		return Loss{}, err
	}
	p, err := session.Program(model.Score, model.Shape{Rows: batch, Length: s.length - 1})
	if err != nil {
		return Loss{}, err
	}
	pieces := tokenizers.Pieces(tokenizer)
	fresh := s.fresh
	if len(fresh) != len(pieces) { // the parent's own vocabulary
		fresh = make([]bool, len(pieces))
	}
	var sum, newSum, count, newCount float64
	for first := 0; first < len(rows); first += batch {
		tokens, targets := make([]int, batch*(s.length-1)), slices.Repeat([]int{-1}, batch*(s.length-1))
		for r, row := range rows[first:min(first+batch, len(rows))] {
			for i, id := range row[1:] {
				tokens[r*(s.length-1)+i], targets[r*(s.length-1)+i] = int(row[i]), int(id)
			}
		}
		p.Feed(map[string][]int{"tokens": tokens, "targets": targets})
		if err := p.Run(); err != nil {
			return Loss{}, err
		}
		sum += p.Loss()
		logits := p.Output("logits").Float64s()
		for at, id := range targets {
			if id < 0 {
				continue
			}
			count++
			if fresh[id] {
				newSum, newCount = newSum+surprise(logits[at*len(pieces):(at+1)*len(pieces)], id), newCount+1
			}
		}
	}
	out := Loss{Nats: sum / count, Bits: sum / math.Ln2 / float64(bytes)}
	if newCount > 0 {
		out.New, out.Share = newSum/newCount, newCount/count
	}
	return out, nil
}

// surprise is -ln softmax(z)[id].
func surprise(z []float64, id int) float64 {
	most, sum := slices.Max(z), 0.0
	for _, v := range z {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum) - z[id]
}

// cut makes rows of texts and counts the bytes of all that is read of them, so that losses of two vocabularies compare.
func (s *subject) cut(texts []string, by tokenizers.Tokenizer) (rows [][]uint32, bytes int, err error) {
	encode := tokenizers.NewEncoder(by)
	var on, begin []uint32
	if s.begin != "" {
		id := slices.IndexFunc(tokenizers.Pieces(by), func(p tokenizers.Piece) bool { return p.Text == s.begin })
		if id < 0 {
			return nil, 0, fmt.Errorf("the vocabulary has no %s", s.begin)
		}
		begin = []uint32{uint32(id)}
	}
	for _, text := range texts {
		ids, err := encode(nil, text)
		if err != nil {
			return nil, 0, err
		}
		bytes += len(text)
		if s.begin == "" {
			on = append(on, ids...)
			continue
		}
		row := append(slices.Clip(begin), ids...)
		if len(row) > s.length {
			return nil, 0, fmt.Errorf("a text of %d tokens; want at most %d", len(ids), s.length-1)
		}
		rows = append(rows, row)
	}
	for ; len(on) >= s.length; on = on[s.length:] {
		rows = append(rows, on[:s.length])
	}
	return rows, bytes, nil
}
