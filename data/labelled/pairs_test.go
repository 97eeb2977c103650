package labelled

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// pairsFile is a file of n pairs with scores from 0 to 5.
func pairsFile(t *testing.T, n int) string {
	var text strings.Builder
	text.WriteString("sentence1\tsentence2\tscore\n")
	for i := range n {
		fmt.Fprintf(&text, "%s\t%s\t%.1f\n", strings.Repeat("a", 1+i%7), strings.Repeat("b", 1+i*i%11), float64(i%6))
	}
	return writeFile(t, "pairs.tsv", text.String())
}

func pairsOf(path string) Table {
	s := DefaultTable()
	s.Train, s.TextColumns, s.LabelColumn, s.Regression, s.ValidationShare = path, []string{"sentence1", "sentence2"}, "score", true, 0.25
	return s
}

// TestPairsApart: the texts of a pair have a row each, padded to one length, next to each other, and rows without a pair are
// empty. The tokens are those of the text by itself.
func TestPairsApart(t *testing.T) {
	d, err := OpenPairs(context.Background(), pairsOf(pairsFile(t, 40)), tokenizers.ByteTokenizer{})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Pairs || d.Train.Len()+d.Validation.Len() != 40 || d.Validation.Len() < 5 {
		t.Fatalf("%d and %d pairs", d.Train.Len(), d.Validation.Len())
	}
	const rows = 8
	loader, err := NewLoader(d.Train, LoaderConfig{BatchSize: rows, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	var seen []int
	for range loader.Batches() {
		loader.Next(&b)
		if len(b.Tokens) != 2*rows*b.SeqLen || len(b.Types) != len(b.Tokens) || len(b.Lengths) != 2*rows || len(b.Labels) != rows || len(b.Scores) != rows {
			t.Fatalf("sizes %d %d %d %d %d", len(b.Tokens), len(b.Types), len(b.Lengths), len(b.Labels), len(b.Scores))
		}
		for row := range rows {
			if row >= b.N {
				if b.Labels[row] != data.IgnoredTarget || b.Lengths[2*row]+b.Lengths[2*row+1] != 0 {
					t.Errorf("row %d of %d: label %d, lengths %v", row, b.N, b.Labels[row], b.Lengths[2*row:2*row+2])
				}
				continue
			}
			i := b.Index[row]
			seen = append(seen, i)
			if b.Scores[row] != d.Train.Score(i) || b.Labels[row] == data.IgnoredTarget {
				t.Errorf("pair %d: score %v, want %v", i, b.Scores[row], d.Train.Score(i))
			}
			for side, want := range d.Train.Texts(i) {
				at := 2*row + side
				got := b.Tokens[at*b.SeqLen : (at+1)*b.SeqLen]
				if b.Lengths[at] != len(want) || !slices.Equal(got[:len(want)], want) || len(want) > d.Train.Length(i) {
					t.Errorf("pair %d, text %d: %v, want %v", i, side, got, want)
				}
			}
		}
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != d.Train.Len() {
		t.Errorf("an epoch has %d pairs, want %d", len(seen), d.Train.Len())
	}
	if texts := d.Train.Texts(0); len(texts[0]) == 0 || texts[0][0] != 'a' || texts[1][0] != 'b' {
		t.Errorf("the first pair is %v", texts)
	}
}

// TestPairsRefuse: single texts and classes are no pairs with scores.
func TestPairsRefuse(t *testing.T) {
	single := pairsOf(pairsFile(t, 12))
	single.TextColumns = single.TextColumns[:1]
	classes := pairsOf(pairsFile(t, 12))
	classes.Regression = false
	for _, s := range []Table{single, classes} {
		if _, err := OpenPairs(context.Background(), s, tokenizers.ByteTokenizer{}); err == nil || !strings.Contains(err.Error(), "no pairs of texts with scores") {
			t.Errorf("%v: %v", s.TextColumns, err)
		}
	}
	if _, err := single.Pairs(context.Background(), single.Train, tokenizers.ByteTokenizer{}); err == nil || !strings.Contains(err.Error(), "want the two of a pair") {
		t.Errorf("a file of single texts: %v", err)
	}
}
