package labelled

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data/tokenizers"
)

func TestLoadVectors(t *testing.T) {
	tokenizer := wordTokenizer(t, "good bad film")
	for _, test := range []struct{ name, content, want string }{
		{"glove", "good 1 2.5\nplot 0 0\nfilm -1e-1 3\n", ""},
		{"fastText", "3 2\ngood 1 2.5 \nfilm -0.1 3", ""},
		{"words with spaces", "good 1 2.5\r\n. . 1 2\r\nfilm -0.1 3\r\ngood 9 9\r\n", ""},
		{"too few numbers", "good 1 2\nfilm 1\n", `v.txt:2: 1 numbers after the word "film", want 2 as in the lines before`},
		{"too many numbers", "good 1 2\nplot 1 2 3\n", `v.txt:2: 3 numbers after the word "plot", want 2`},
		{"no number", "good 1 2\nfilm 1 x\n", `v.txt:2: number 2 of the word "film" is "x", want a finite number`},
		{"not finite", "good 1 NaN\n", `v.txt:1: number 2 of the word "good" is "NaN"`},
		{"no numbers", "good\n", `v.txt:1: 0 numbers after the word "good", want 1 to 16384`},
		{"empty", "", "v.txt: the file is empty"},
		{"other words", "plot 1 2\n", "none of the 3 words of the vocabulary is in it"},
		{"long line", strings.Repeat("a", 1<<21), "v.txt:1: the line is longer than 1048576 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, "v.txt", test.content)
			v, err := LoadVectors(path, tokenizer)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := &Vectors{Dim: 2, Rows: []float32{0, 0, 0, 0, 0, 0, 1, 2.5, 0, 0, -0.1, 3}, Has: []bool{false, false, false, true, false, true}, Found: 2, Missing: 1}
			if diff := cmp.Diff(want, v); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if dim, err := vectorDim(path); dim != 2 || err != nil {
				t.Errorf("vectorDim: %d, %v", dim, err)
			}
		})
	}
	if _, err := LoadVectors("none.txt", tokenizer); !os.IsNotExist(err) && (err == nil || !strings.Contains(err.Error(), "none.txt")) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := LoadVectors("none.txt", tokenizers.ByteTokenizer{}); err == nil || !strings.Contains(err.Error(), `want tokenizer = "word"`) {
		t.Errorf("bytes: %v", err)
	}
	cfg := tsvConfig(writeFile(t, "x.tsv", sentences(30)))
	cfg.Vectors = writeFile(t, "v.txt", "film 1 2 3\n")
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Vectors.Found != 1 || !strings.Contains(d.Describe(), "vectors of 3 numbers for") {
		t.Errorf("%s", d.Describe())
	}
	if survey, err := Look(t.Context(), cfg); err != nil || survey.VectorDim != 3 {
		t.Errorf("Look: %+v, %v", survey, err)
	}
}
