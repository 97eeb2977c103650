package retrieval

import (
	"math"
	"strings"
	"unicode"
)

// Constants of BM25, those of Robertson and Zaragoza 2009 and of Lucene.
const (
	bm25K1 = 1.2
	bm25B  = 0.75
)

// BM25 scores texts by the words that they share with a query:
//
//	Σ over words t of the query  ln(1 + (n - n_t + 1/2)/(n_t + 1/2)) f_t (k1 + 1) / (f_t + k1 (1 - b + b length/mean length))
//
// with k1 = 1.2, b = 0.75, n texts, n_t of them with t, f_t times in this one.
type BM25 struct {
	words   map[string]int
	texts   [][]posting // of each word
	lengths []float64
	mean    float64
}

type posting struct {
	text  int32
	count float32
}

// NewBM25 reads texts.
func NewBM25(texts []string) *BM25 {
	b := &BM25{words: map[string]int{}, lengths: make([]float64, len(texts))}
	for i, text := range texts {
		for _, word := range Words(text) {
			id, known := b.words[word]
			if !known {
				id = len(b.texts)
				b.words[word] = id
				b.texts = append(b.texts, nil)
			}
			list := b.texts[id]
			if n := len(list); n > 0 && list[n-1].text == int32(i) {
				list[n-1].count++
			} else {
				b.texts[id] = append(list, posting{int32(i), 1})
			}
			b.lengths[i]++
		}
		b.mean += b.lengths[i] / float64(len(texts))
	}
	return b
}

// Scores are those of all texts for a query.
func (b *BM25) Scores(query string) []float64 {
	out := make([]float64, len(b.lengths))
	n := float64(len(out))
	for _, word := range Words(query) {
		id, known := b.words[word]
		if !known {
			continue
		}
		list := b.texts[id]
		weight := math.Log(1 + (n-float64(len(list))+0.5)/(float64(len(list))+0.5))
		for _, p := range list {
			f := float64(p.count)
			out[p.text] += weight * f * (bm25K1 + 1) / (f + bm25K1*(1-bm25B+bm25B*b.lengths[p.text]/b.mean))
		}
	}
	return out
}

// Words are the runs of letters and digits of a text, in lower case. One that has capitals inside, as names of programs have, comes whole
// and in its parts.
func Words(text string) (all []string) {
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		all = append(all, strings.ToLower(run))
		r := []rune(run)
		from, parts := 0, 0
		for i := 1; i <= len(r); i++ {
			// fooBar splits before B; HTTPServer before S.
			if i < len(r) && (!unicode.IsUpper(r[i]) || unicode.IsUpper(r[i-1]) && (i+1 == len(r) || !unicode.IsLower(r[i+1]))) {
				continue
			}
			if i == len(r) && parts == 0 {
				break
			}
			all = append(all, strings.ToLower(string(r[from:i])))
			from, parts = i, parts+1
		}
	}
	return all
}
