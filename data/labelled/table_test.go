package labelled

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
)

// writeFile writes a file into the test's folder and returns its path.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tsvConfig returns a config over a file with the columns text and label.
func tsvConfig(path string) Table {
	cfg := DefaultTable()
	cfg.Train, cfg.TextColumns, cfg.LabelColumn = path, []string{"text"}, "label"
	cfg.Tokenizer, cfg.VocabSize, cfg.MinCount, cfg.ValidationShare, cfg.MaxLen = "word", 1000, 1, 0.25, 16
	return cfg
}

// sentences returns a file of n distinct labelled lines.
func sentences(n int) string {
	var b strings.Builder
	b.WriteString("text\tlabel\n")
	for i := range n {
		fmt.Fprintf(&b, "%sthe film number n%d\t%s\n", strings.Repeat("very ", i%7), i, []string{"good", "bad", "so so"}[i%3])
	}
	return b.String()
}

func TestReadTSV(t *testing.T) {
	type read struct {
		Texts  []string
		Names  []string
		Labels []int32
		Scores []float64
	}
	for _, test := range []struct {
		name, content string
		change        func(*Table)
		want          read
	}{
		{"header", "text\tlabel\na b\tyes\nc\tno\n", nil, read{[]string{"a b", "c"}, []string{"no", "yes"}, []int32{1, 0}, nil}},
		{"quotation marks are characters", "text\tlabel\n\"a\tyes\n\"b\" c\"\tno", nil, read{[]string{"\"a", "\"b\" c\""}, []string{"no", "yes"}, []int32{1, 0}, nil}},
		{"carriage returns and a byte order mark", "\ufefftext\tlabel\r\na\t1\r\nb\t0\r\n\r\n", nil, read{[]string{"a", "b"}, []string{"0", "1"}, []int32{1, 0}, nil}},
		{"numbers sort by value", "text\tlabel\na\t10\nb\t9\nc\t-1\n", nil, read{[]string{"a", "b", "c"}, []string{"-1", "9", "10"}, []int32{2, 1, 0}, nil}},
		{"columns by number", "x\ta\t1\nx\tb\t0\ty\n", func(c *Table) { c.Header, c.TextColumns, c.LabelColumn = false, []string{"2"}, "3" },
			read{[]string{"a", "b"}, []string{"0", "1"}, []int32{1, 0}, nil}},
		{"a name wins over a number", "1\t2\t3\na\tb\tc\nd\te\tf\n", func(c *Table) { c.TextColumns, c.LabelColumn = []string{"2"}, "3" },
			read{[]string{"b", "e"}, []string{"c", "f"}, []int32{0, 1}, nil}},
		{"pairs with scores", "s1\tscore\ts2\na\t2.5\tb\nc\t-1e1\td\n", func(c *Table) {
			c.TextColumns, c.LabelColumn, c.Regression = []string{"s1", "s2"}, "score", true
		},
			read{[]string{"a", "b", "c", "d"}, nil, nil, []float64{2.5, -10}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := tsvConfig("")
			if test.change != nil {
				test.change(&cfg)
			}
			l, names, err := cfg.readFile(writeFile(t, "x.tsv", test.content), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := read{Names: names, Labels: l.Labels, Scores: l.Scores}
			for i := range l.List {
				got.Texts = append(got.Texts, l.Content(i))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTSVErrors(t *testing.T) {
	many := "text\tlabel\n"
	for i := range data.MaxLabels + 1 {
		many += fmt.Sprintf("a\t%d.5\n", i)
	}
	for _, test := range []struct {
		name, content string
		change        func(*Table)
		want          string
	}{
		{"empty file", "", nil, "x.tsv: no line after the header, want examples"},
		{"header only", "text\tlabel\n", nil, "x.tsv: no line after the header"},
		{"no such column", "sentence\tlabel\na\t1\n", nil, `x.tsv:1: text_columns = "text" is not in the header; want one of "sentence", "label", or a number from 1 to 2`},
		{"no labels", "text\na\n", nil, `x.tsv:1: label_column = "label" is not in the header; want one of "text"`},
		{"column twice", "text\ttext\tlabel\na\tb\t1\n", nil, `x.tsv:1: text_columns = "text" is in the header twice`},
		{"one column for both", "text\tlabel\na\t1\n", func(c *Table) { c.TextColumns = []string{"2"} }, "name column 2 twice"},
		{"number beyond the line", "text\tlabel\na\t1\n", func(c *Table) { c.LabelColumn = "7" }, `x.tsv:1: label_column = "7", but the line has 2 columns`},
		{"one label only", "text\tlabel\na\t1\nb\t1\n", nil, `x.tsv: column "label" has only the label "1", want at least two classes`},
		{"missing column", "text\tlabel\na\t1\nb\n", nil, "x.tsv:3: 1 columns, but the header has 2"},
		{"tab in a text", "text\tlabel\na\tb\t1\n", nil, "x.tsv:2: 3 columns, but the header has 2"},
		{"too few without a header", "a\t1\nb\n", func(c *Table) { c.Header, c.TextColumns, c.LabelColumn = false, []string{"1"}, "2" }, "x.tsv:2: 1 columns, want at least 2"},
		{"empty text", "text\tlabel\na\t1\n \t0\n", nil, `x.tsv:3: column "text" is empty, want a text`},
		{"empty label", "text\tlabel\na\t1\nb\t\n", nil, `x.tsv:3: column "label" is empty, want a label`},
		{"blank line", "text\tlabel\na\t1\n\nb\t0\n", nil, "x.tsv:3: 1 columns, but the header has 2"},
		{"score that is none", "text\tlabel\na\t1.5\nb\thigh\n", func(c *Table) { c.Regression = true }, `x.tsv:3: column "label" is "high", want a number (regression = true)`},
		{"score not finite", "text\tlabel\na\tNaN\n", func(c *Table) { c.Regression = true }, `x.tsv:2: column "label" is "NaN", want a number`},
		{"not UTF-8", "text\tlabel\na\t1\nb\xffc\t0\n", nil, "x.tsv:3: not valid UTF-8 at byte 2 of the line (0xff)"},
		{"scores taken for classes", many, nil, `x.tsv:1002: label "1000.5" is the 1001th in column "label"; want at most 1000 classes (scores want regression = true)`},
		{"unknown label in validation", sentences(9), func(c *Table) { c.Validation = writeFile(t, "v.tsv", "text\tlabel\na\tawful\n") }, `v.tsv:2: label "awful" is none of the labels of training, "bad", "good", "so so"`},
		{"missing file", sentences(9), func(c *Table) { c.Test = "none.tsv" }, "data: test: open none.tsv: no such file or directory; the path is relative to the working directory"},
		{"nothing for validation", sentences(3), nil, "nothing is left for validation with validation_share = 0.25"},
		{"rare words only", sentences(9), func(c *Table) { c.MinCount = 100 }, `no word of 10 occurs min_count = 100 times`},
		{"absurd length", sentences(9), func(c *Table) { c.MaxLen = 1 << 30 }, "max_len = 1073741824 is out of range; want 8 to 65536 tokens"},
		{"no file", "", func(c *Table) { c.Train = "" }, `train = "" is empty; want a file of examples`},
		{"three texts", "", func(c *Table) { c.TextColumns = []string{"1", "2", "3"} }, "has 3 columns; want 1, or 2 for pairs"},
		{"names without a header", "", func(c *Table) { c.Header = false }, `has the name "label", but header = false; want numbers from 1`},
		{"label as text", "", func(c *Table) { c.TextColumns = []string{"label"} }, `has column "label" twice, or it is the label as well`},
		{"vectors without words", "", func(c *Table) { c.Vectors, c.Tokenizer = "glove.txt", "byte" }, `vectors = "glove.txt" is for tokenizer = "word", but tokenizer = "byte"`},
		{"unknown cut", "", func(c *Table) { c.Cut = "tail" }, `cut = "tail" is unknown`},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := tsvConfig(writeFile(t, "x.tsv", test.content))
			if test.change != nil {
				test.change(&cfg)
			}
			_, err := Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// glueFile returns a file of the GLUE benchmark in SPARROW_DATA or ../../../shared/data, or skips the test.
func glueFile(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("SPARROW_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(folder, "glue", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no GLUE data, TestReadTSV reads files of their form: %v", err)
	}
	return path
}

func TestSST2(t *testing.T) {
	cfg := tsvConfig(glueFile(t, "SST-2/train.tsv"))
	cfg.Validation, cfg.Test = glueFile(t, "SST-2/dev.tsv"), glueFile(t, "SST-2/test-labeled.tsv")
	cfg.TextColumns, cfg.VocabSize, cfg.MaxLen = []string{"sentence"}, 20000, 64
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 67349 || d.Validation.Len() != 872 || d.Test.Len() != 1821 {
		t.Errorf("%d, %d and %d examples, want 67349, 872 and 1821", d.Train.Len(), d.Validation.Len(), d.Test.Len())
	}
	if counts := d.Validation.LabelCounts(2); !slices.Equal(counts, []int{428, 444}) { // counted with awk
		t.Errorf("dev has %v of %v, want 428 and 444", counts, d.Labels)
	}
	// The text is cut already, so that each of its pieces is one token.
	x := d.Validation.At(0)
	if got, want := d.Tokenizer.Decode(x.Tokens), "it 's a charming and often affecting journey ."; got != want || x.Label != 1 {
		t.Errorf("first of dev is %q, %d, want %q, 1", got, x.Label, want)
	}
}

func TestSTSB(t *testing.T) {
	cfg := tsvConfig(glueFile(t, "STS-B/train.tsv"))
	cfg.Validation = glueFile(t, "STS-B/dev.tsv")
	cfg.TextColumns, cfg.LabelColumn, cfg.Regression = []string{"sentence1", "sentence2"}, "score", true
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 5749 || d.Validation.Len() != 1500 || d.Labels != nil || !d.Pairs {
		t.Errorf("%d and %d examples with labels %v, pairs %v", d.Train.Len(), d.Validation.Len(), d.Labels, d.Pairs)
	}
	x := d.Train.At(1)
	if got, want := d.Tokenizer.Decode(x.Tokens), "a man is playing a large flute . <sep> a man is playing a flute ."; got != want || x.Score != 3.8 {
		t.Errorf("second of train is %q, %v, want %q, 3.8", got, x.Score, want)
	}
	if want := "0000000001111111"; strings.Trim(fmt.Sprint(x.Types), "[]") != strings.Join(strings.Split(want, ""), " ") {
		t.Errorf("types are %v, want %s", x.Types, want)
	}
	// Another file of the same task has no header and other columns.
	cfg.Header, cfg.TextColumns, cfg.LabelColumn = false, []string{"6", "7"}, "5"
	test, err := cfg.Examples(t.Context(), glueFile(t, "STS-B/sts-test.tsv"), d.Tokenizer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := test.At(0); test.Len() != 1379 || e.Score != 2.5 {
		t.Errorf("%d examples, the first with score %v, want 1379 and 2.5", test.Len(), e.Score)
	}
}
