package extend

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read are the words of a file.
func read(path string) (map[string][]float32, error) {
	words := map[string][]float32{}
	err := File{Path: path}.Each(context.Background(), func(word string, v []float32) error {
		words[word] = append([]float32(nil), v...)
		return nil
	})
	return words, err
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vectors")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// binaryFile is word2vec's format.
func binaryFile(header string, words []string, numbers ...float32) []byte {
	var b bytes.Buffer
	b.WriteString(header)
	each := len(numbers) / len(words)
	for i, word := range words {
		b.WriteString(word + " ")
		for _, x := range numbers[i*each : (i+1)*each] {
			_ = binary.Write(&b, binary.LittleEndian, x)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// TestFile: the three formats hold the same words.
func TestFile(t *testing.T) {
	words, numbers := []string{"haus", "Tür", "x"}, []float32{1, -2.5, 0.125, 3, 0, 4}
	text := "haus 1 -2.5\nTür 0.125 3 \r\nx 0 4"
	for name, content := range map[string][]byte{
		"glove": []byte(text), "fasttext": []byte("3 2\n" + text + "\n"), "word2vec binary": binaryFile("3 2\n", words, numbers...),
	} {
		got, err := read(write(t, content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, word := range words {
			if v := got[word]; len(v) != 2 || v[0] != numbers[2*i] || v[1] != numbers[2*i+1] {
				t.Errorf("%s: %q is %v", name, word, v)
			}
		}
	}
}

// TestFileHostile: what is wrong with vectors is said, and where.
func TestFileHostile(t *testing.T) {
	nan := binaryFile("2 2\n", []string{"a", "b"}, 1, 2, float32(math.NaN()), 3)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":             {nil, "the file is empty"},
		"white space":       {[]byte(" \n\n"), "the file is empty"},
		"another width":     {[]byte("a 1 2\nb 1 2 3\n"), `line 2: 3 numbers after the word "b"; want 2 as before`},
		"the header's":      {[]byte("2 3\na 1 2\nb 1 2\n"), `line 2: 2 numbers after the word "a"; want 3 as before`},
		"twice":             {[]byte("a 1 2\nb 1 2\na 3 4\n"), `line 3: the word "a" stands there twice`},
		"no number":         {[]byte("a 1 2\nb 1 x\n"), `line 2: number 2 of the word "b" is "x"`},
		"NaN":               {[]byte("a 1 NaN\n"), `line 1: number 2 of the word "a" is NaN`},
		"infinite":          {[]byte("a 1e999 1\n"), `number 1 of the word "a"`},
		"cut":               {[]byte("3 2\na 1 2\nb 1 2\n"), "2 words; the header promises 3"},
		"too many":          {[]byte("1 2\na 1 2\nb 1 2\n"), "2 words; the header promises 1"},
		"no words":          {[]byte("a\nb\n"), `line 1: 0 numbers after the word "a"`},
		"huge":              {[]byte("9 99999999\na 1\n"), "line 1: vectors of 99999999 numbers; want at most"},
		"a long line":       {[]byte("a " + strings.Repeat("1 ", 1<<20)), "line 1 is longer than"},
		"no text":           {[]byte("a\xff 1 2\n"), "is empty or no UTF-8"},
		"binary, cut":       {binaryFile("3 2\n", []string{"a", "b"}, 1, 2, 3, 4), "it ends within word 3; the header promises 3"},
		"binary, a number":  {binaryFile("2 2\n", []string{"a", "b"}, 1, 2, 3, 4)[:17], `it ends within the numbers of word 2, "b"`},
		"binary, NaN":       {nan, `word 2: number 1 of the word "b" is NaN`},
		"binary, no spaces": {append([]byte("2 2\n"), bytes.Repeat([]byte{0}, 1<<13)...), "is this a file of word2vec's binary format?"},
	} {
		if _, err := read(write(t, c.content)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "extend: vectors: ") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := read(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := read(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

// FuzzFile: nothing panics, and what is read is finite.
func FuzzFile(f *testing.F) {
	f.Add([]byte("a 1 2\nb 3 4\n"))
	f.Add([]byte("2 2\na 1 2\nb 3 4\n"))
	f.Add(binaryFile("2 2\n", []string{"a", "b"}, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, content []byte) {
		words, err := read(write(t, content))
		if err != nil {
			return
		}
		for word, v := range words {
			for _, x := range v {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					t.Fatalf("%q has %v", word, v)
				}
			}
		}
	})
}

// TestEmbed: mutual information against a loop from its definition, the vectors' products near it, and words of a pair of
// translations near each other.
func TestEmbed(t *testing.T) {
	c := &Corpus{Lines: []string{"a b c a", "b c d", "a d d b c", "Tier a"}, Pairs: [][]string{{"the animal runs", "das Tier läuft"}, {"an animal", "ein Tier"}, {"the house", "das Haus"}, {"a house", "ein Haus"}}}
	words, err := c.vocabulary(context.Background(), 100)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]uint32{}
	for i, word := range words {
		ids[word] = uint32(i)
	}
	const window = 2
	counts, err := c.together(context.Background(), ids, window)
	if err != nil {
		t.Fatal(err)
	}
	n := len(words)
	naive := make([]float64, n*n)
	for _, line := range c.Lines {
		var seen []string
		for _, w := range strings.Fields(strings.ToLower(line)) {
			if _, ok := ids[w]; ok {
				seen = append(seen, w)
			}
		}
		for i, a := range seen {
			for j, b := range seen {
				if i != j && i-j <= window && j-i <= window && a != b {
					naive[int(ids[a])*n+int(ids[b])]++
				}
			}
		}
	}
	for _, pair := range c.Pairs {
		seen := map[string]bool{}
		for _, w := range strings.Fields(strings.ToLower(strings.Join(pair, " "))) {
			if _, ok := ids[w]; ok {
				seen[w] = true
			}
		}
		for a := range seen {
			for b := range seen {
				if a != b {
					naive[int(ids[a])*n+int(ids[b])]++
				}
			}
		}
	}
	all, sums := 0.0, make([]float64, n)
	for i := range n {
		for j := range n {
			sums[i] += naive[i*n+j]
			all += naive[i*n+j]
		}
	}
	m := mutualInformation(counts, n)
	for i := range n {
		row := make([]float64, n)
		for k := m.start[i]; k < m.start[i+1]; k++ {
			if k > m.start[i] && m.index[k] <= m.index[k-1] {
				t.Fatalf("columns of row %d do not ascend: %v", i, m.index[m.start[i]:m.start[i+1]])
			}
			row[m.index[k]] = m.values[k]
		}
		for j := range n {
			want := 0.0
			if x := naive[i*n+j]; x > 0 {
				want = max(0, math.Log(x*all/(sums[i]*sums[j])))
			}
			if math.Abs(row[j]-want) > 1e-12 {
				t.Errorf("%s, %s: %g, want %g", words[i], words[j], row[j], want)
			}
		}
	}
	e, err := c.Embed(context.Background(), EmbedConfig{Rank: 6, Window: window, Limit: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Vectors.Cols != 6 || len(e.Words) != n {
		t.Errorf("%d words of %d numbers", len(e.Words), e.Vectors.Cols)
	}
	if _, err := (&Corpus{Lines: []string{"one two"}}).Embed(context.Background(), DefaultEmbed(), nil); err == nil || !strings.Contains(err.Error(), "0 words occur twice") {
		t.Errorf("too little text: %v", err)
	}
}

// TestPairsMerge: counts in several batches are those in one.
func TestPairsMerge(t *testing.T) {
	var whole, parts pairs
	for i := range uint32(500) {
		whole.add(i%7, i%5)
		if parts.add(i%5, i%7); i%33 == 0 {
			parts.merge()
		}
	}
	whole.merge()
	parts.merge()
	if fmt.Sprint(whole.keys, whole.counts) != fmt.Sprint(parts.keys, parts.counts) || len(whole.keys) == 0 {
		t.Errorf("in parts %v %v, want %v %v", parts.keys, parts.counts, whole.keys, whole.counts)
	}
}

// TestReadText: columns by name and by place, and what a table or a pattern lacks.
func TestReadText(t *testing.T) {
	table := write(t, []byte("package\tenglish\tgerman\na\tthe house\tdas Haus\nb\t\tnur deutsch\n"))
	c, err := ReadPairs(table, []string{"english", "german"})
	if err != nil || len(c.Pairs) != 1 || c.Pairs[0][1] != "das Haus" {
		t.Errorf("%v, %v", c, err)
	}
	two := write(t, []byte("the house\tdas Haus\na door\teine Tür\n"))
	if c, err := ReadPairs(two, nil); err != nil || len(c.Pairs) != 2 {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []struct {
		err  error
		want string
	}{
		{second(ReadPairs(table, []string{"english", "dutch"})), `line 1: no column is named "dutch"`},
		{second(ReadPairs(table, nil)), "line 1: 3 columns; want 2"},
		{second(ReadPairs(write(t, nil), nil)), "no line has text in both columns"},
		{second(ReadLines(filepath.Join(t.TempDir(), "*.txt"))), "no file is named like"},
		{second(ReadLines(write(t, []byte("\n \n")))), "hold no text"},
		{second(ReadLines(write(t, []byte("a\xff\n")))), "line 1 is not valid UTF-8 at byte 1"},
	} {
		if bad.err == nil || !strings.Contains(bad.err.Error(), bad.want) {
			t.Errorf("%v, want %q", bad.err, bad.want)
		}
	}
}

func second(_ *Corpus, err error) error { return err }
