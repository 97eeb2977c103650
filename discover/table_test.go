package discover

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// topics draws a table of words: of each class's words the first is its alone.
func topics(seed uint64, words int, share *factor.Matrix, tokens int) *Table {
	k, r := share.Rows, share.Cols
	draw := rng.New(seed, "discover/topics", 0)
	of := factor.NewMatrix(k, words)
	rng.FillUniform(draw, of.Data, 0, 1)
	for y := range k {
		for z := range k {
			of.Row(z)[y] = 0
		}
		of.Row(y)[y] = 3
		sum := 0.0
		for _, v := range of.Row(y) {
			sum += v
		}
		for i := range of.Row(y) {
			of.Row(y)[i] /= sum
		}
	}
	t := &Table{Counts: factor.NewMatrix(words, r)}
	for i := range words {
		t.Rows = append(t.Rows, fmt.Sprintf("word %d", i))
	}
	pick := func(p func(int) float64, n int) int {
		u := draw.Float64()
		for i := range n {
			if u -= p(i); u < 0 {
				return i
			}
		}
		return n - 1
	}
	for d := range r {
		t.Domains = append(t.Domains, fmt.Sprintf("domain %d", d))
		for range tokens {
			y := pick(func(y int) float64 { return share.Row(y)[d] }, k)
			w := pick(func(i int) float64 { return of.Row(y)[i] }, words)
			t.Counts.Row(w)[d]++
		}
	}
	return t
}

func TestMix(t *testing.T) {
	table := topics(1, 40, threeClasses, 20000)
	x, err := Mix(t.Context(), table, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Classes) != 3 {
		t.Fatalf("%d classes: %+v", len(x.Classes), x.Rank)
	}
	overlap := make([][]float64, 3)
	for y := range overlap {
		overlap[y] = make([]float64, 3)
		for z := range 3 {
			for d := range 4 {
				overlap[y][z] += min(x.Prior.Row(y)[d], threeClasses.Row(z)[d])
			}
		}
	}
	sum := 0.0
	for y, z := range Match(overlap) {
		for d := range 4 {
			sum += math.Abs(x.Prior.Row(y)[d]-threeClasses.Row(z)[d]) / 4
		}
		if typical := table.Typical(x, y, 3); !slices.Contains(typical, fmt.Sprintf("word %d", z)) {
			t.Errorf("class %d: typical words %q, want word %d among them", y, typical, z)
		}
	}
	if sum > 0.15 || x.Spread < 3*x.Control {
		t.Errorf("L1 %.3f, spread %.3f, control %.3f", sum, x.Spread, x.Control)
	}
}

func TestMixRefusals(t *testing.T) {
	same := &factor.Matrix{Rows: 2, Cols: 3, Data: []float64{0.3, 0.3, 0.3, 0.7, 0.7, 0.7}}
	for _, c := range []struct {
		name, want string
		table      *Table
		cfg        Config
	}{
		{"equal shares", "do not differ beyond chance", topics(2, 30, same, 3000), Config{Classes: 2}},
		{"more than show", "show 3 classes, fewer than 4", topics(3, 30, threeClasses, 5000), Config{Classes: 4}},
		{"one domain", "there is 1 domain", &Table{Rows: []string{"a"}, Domains: []string{"x"}, Counts: &factor.Matrix{Rows: 1, Cols: 1, Data: []float64{5}}}, Config{Classes: 2}},
		{"an empty domain", "has no counts", &Table{Rows: []string{"a", "b"}, Domains: []string{"x", "y"}, Counts: &factor.Matrix{Rows: 2, Cols: 2, Data: []float64{5, 0, 3, 0}}}, Config{Classes: 2}},
		{"rare words", "no 2 corners", &Table{Rows: []string{"a", "b", "c"}, Domains: []string{"x", "y"}, Counts: &factor.Matrix{Rows: 3, Cols: 2, Data: []float64{20, 0, 0, 20, 3, 4}}}, Config{Classes: 2}},
	} {
		_, err := Mix(t.Context(), c.table, c.cfg)
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

func TestParseTable(t *testing.T) {
	table, err := ParseTable("words.tsv", []byte("\ufeffword\tshop\tforum\r\ncat\t3\t0\r\ndog\t1\t2\r\n\n"))
	if err != nil || !slices.Equal(table.Rows, []string{"cat", "dog"}) || !slices.Equal(table.Counts.Data, []float64{3, 0, 1, 2}) {
		t.Errorf("%+v, %v", table, err)
	}
	for text, want := range map[string]string{
		"word\nx":             "words.tsv:1: one column",
		"word\ta\ta\nx\t1\t1": "words.tsv:1: column 3 has the domain \"a\"",
		"word\ta\tb\nx\t1":    "words.tsv:2: 2 columns, but the header has 3",
		"word\ta\nx\t-1":      "words.tsv:2: column \"a\" is \"-1\", want a whole number",
		"word\ta\nx\t1.5":     "want a whole number",
		"word\ta\nx\tNaN":     "want a whole number",
		"word\ta\nx\t1\nx\t2": "words.tsv:3: \"x\" has a line already",
		"word\ta\n":           "no line after the header",
		"":                    "no line after the header",
	} {
		if _, err := ParseTable("words.tsv", []byte(text)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}
