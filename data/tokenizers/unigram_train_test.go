package tokenizers

import (
	"context"
	"math"
	"os"
	"strings"
	"testing"

	"sparrow/data"
)

// trainedUnigram trains on testdata/corpus.txt.
func trainedUnigram(t *testing.T, size int) (Tokenizer, string) {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var s data.Documents
	s.Add(text, "corpus.txt", 0)
	cfg := DefaultConfig()
	cfg.Tokenizer, cfg.VocabSize = "unigram", size
	tokenizer, err := New(t.Context(), cfg, &s)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer, string(text)
}

// TestTrainUnigram: the vocabulary has the size asked for, spells its own text without unknown tokens and, within 2 percent, in as few
// tokens as that of Hugging Face's trainer (testdata/README.md has the numbers), and reads back.
func TestTrainUnigram(t *testing.T) {
	for size, theirs := range map[int]int{400: 2726, 655: 2369} {
		tokenizer, text := trainedUnigram(t, size)
		if tokenizer.Kind() != "unigram" || tokenizer.VocabSize() != size {
			t.Errorf("%d tokens of kind %s, want %d", tokenizer.VocabSize(), tokenizer.Kind(), size)
		}
		n := 0
		for _, line := range strings.Split(text, "\n") {
			ids, err := tokenizer.Encode(line)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if id == Specials(tokenizer).Unknown {
					t.Fatalf("%q has an unknown token", line)
				}
			}
			n += len(ids)
			if got := strings.TrimPrefix(tokenizer.Decode(ids), " "); got != strings.TrimPrefix(line, " ") {
				t.Fatalf("decoded %q, want %q", got, line)
			}
		}
		t.Logf("%d tokens: the text has %d, theirs %d", size, n, theirs)
		if float64(n) > 1.02*float64(theirs) {
			t.Errorf("%d tokens: the text has %d, Hugging Face's %d", size, n, theirs)
		}
	}
}

// TestUnigramExpectation: expected counts are those of a sum over all spellings, written out.
func TestUnigramExpectation(t *testing.T) {
	l := &unigramLearner{pieces: []unigramPiece{{"a", math.Log(0.4), true}, {"b", math.Log(0.3), true}, {"ab", math.Log(0.2), false}, {"ba", math.Log(0.1), false}}}
	l.index()
	got := make([]float64, 4)
	lattice := unigramLattice{model: l.model}
	lattice.expect("aba", 3, got)
	// a b a: 0.4 0.3 0.4 = 0.048; ab a: 0.2 0.4 = 0.08; a ba: 0.4 0.1 = 0.04
	const whole = 0.048 + 0.08 + 0.04
	for i, want := range []float64{3 * (2*0.048 + 0.08 + 0.04) / whole, 3 * 0.048 / whole, 3 * 0.08 / whole, 3 * 0.04 / whole} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("piece %s: %g, want %g", l.pieces[i].text, got[i], want)
		}
	}
	if got, want := lattice.without("ab", 2), math.Log(0.4*0.3); math.Abs(got-want) > 1e-12 {
		t.Errorf("without ab: %g, want %g", got, want)
	}
}

// TestDigamma: values of Abramowitz and Stegun, table 6.1, and digamma(1) = -gamma.
func TestDigamma(t *testing.T) {
	for x, want := range map[float64]float64{1: -0.5772156649015329, 1.5: 0.03648997397857652, 0.5: -1.9635100260214235, 10: 2.251752589066721} {
		if got := digamma(x); math.Abs(got-want) > 1e-10 {
			t.Errorf("digamma(%g) = %.12f, want %.12f", x, got, want)
		}
	}
}

// TestTrainUnigramRefuses: a vocabulary with less room than the text has characters, a text without words, and a cancelled context.
func TestTrainUnigramRefuses(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Tokenizer, cfg.VocabSize = "unigram", 32
	var many, none data.Documents
	many.Add([]byte("the quick brown fox jumps over the lazy dog 0123456789 ABCDEFGHIJ"), "", 0)
	none.Add([]byte("   "), "", 0)
	if _, err := New(t.Context(), cfg, &many); err == nil || !strings.Contains(err.Error(), "vocab_size leaves 30 tokens, and the text has") {
		t.Errorf("too many characters: %v", err)
	}
	if _, err := New(t.Context(), cfg, &none); err == nil || !strings.Contains(err.Error(), "no words") {
		t.Errorf("no words: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	cfg.VocabSize = 100
	if _, err := New(ctx, cfg, &many); err == nil {
		t.Error("a cancelled training ended well")
	}
}
