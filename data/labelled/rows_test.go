package labelled

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sparrow/data/tokenizers"
)

// packed is a text as gzip packs it.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTableForms: the same examples as tab-separated values, CSV and JSON lines, packed or not, are the same.
func TestTableForms(t *testing.T) {
	const (
		tsv  = "label\ttext\nyes\ta, \"b\"; c\nno\td\n"
		csv  = "label,text\nyes,\"a, \"\"b\"\"; c\"\nno,d\n"
		semi = "label;text\r\nyes;\"a, \"\"b\"\"; c\"\r\nno;d\r\n"
		json = `{"text": "a, \"b\"; c", "label": "yes", "more": [1]}` + "\n\n" + `{"label": "no", "text": "d"}`
	)
	for name, content := range map[string]string{
		"x.tsv": tsv, "x.TXT": tsv, "tabs.csv": strings.ReplaceAll(semi, ";", "\t"), "x.csv": csv, "semi.csv": semi, "x.jsonl": json,
		"x.tsv.gz": packed(t, tsv), "x.csv.gz": packed(t, csv), "x.jsonl.gz": packed(t, json), "bom.csv": "\ufeff" + csv,
	} {
		want := []string{"a, \"b\"; c", "d"}
		if name == "tabs.csv" {
			want[0] = "a, \"b\"\t c"
		}
		l, names, err := tsvConfig("").readFile(writeFile(t, name, content), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := []string{l.Content(0), l.Content(1)}; !slices.Equal(got, want) || !slices.Equal(names, []string{"no", "yes"}) || !slices.Equal(l.Labels, []int32{1, 0}) {
			t.Errorf("%s: %q of %q, labels %v; want %q", name, got, names, l.Labels, want)
		}
	}
}

// TestTableJSON: numbers and truth values are taken as they stand, by key, whatever header says.
func TestTableJSON(t *testing.T) {
	c := tsvConfig("")
	c.Header, c.TextColumns, c.LabelColumn, c.Regression = false, []string{"a", "b"}, "score", true
	l, _, err := c.readFile(writeFile(t, "x.ndjson", `{"a": 1.50, "b": true, "score": 2}`+"\n"+`{"b": "x", "score": "3.5", "a": "y"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range l.List {
		got = append(got, l.Content(i))
	}
	if !slices.Equal(got, []string{"1.50", "true", "y", "x"}) || !slices.Equal(l.Scores, []float64{2, 3.5}) {
		t.Errorf("%q, scores %v", got, l.Scores)
	}
}

func TestTableFormErrors(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"bare.csv":     {"text,label\n\"a\" b,yes\nc,no\n", `bare.csv:2: not CSV: extraneous or missing " in quoted-field at column`},
		"width.csv":    {"text,label\na,yes\nb,no,x\n", "width.csv:3: 3 columns, but the header has 2"},
		"lines.csv":    {"text,label\n\"a\nb\",yes\n\"\",no\n", `lines.csv:4: column "text" is empty`},
		"utf8.csv":     {"text,label\na\xff,yes\n", "utf8.csv:2: not valid UTF-8"},
		"key.jsonl":    {`{"texts": "a", "label": "x"}`, `key.jsonl:1: text_columns = "text" is not in the header; want one of "label", "texts"`},
		"lacks.jsonl":  {`{"text": "a", "label": "x"}` + "\n" + `{"label": "y"}`, `lacks.jsonl:2: column "text" is empty`},
		"null.jsonl":   {`{"text": "a", "label": null}`, `null.jsonl:1: column "label" is empty`},
		"array.json":   {"[\n{\"text\": 1}\n]", "array.json:1: not a JSON object"},
		"plain.csv.gz": {"text,label\n", "plain.csv.gz: not packed by gzip, as the extension says"},
		"cut.tsv.gz":   {packed(t, strings.Repeat("a", 1000))[:20], "cut.tsv.gz: packed by gzip, and damaged"},
	} {
		_, _, err := tsvConfig("").readFile(writeFile(t, name, c.content), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestSplitBy: examples of the same key come to the same split.
func TestSplitBy(t *testing.T) {
	var b strings.Builder
	b.WriteString("text,label,who\n")
	for i := range 60 {
		fmt.Fprintf(&b, "the film n%d,%s,person %d\n", i, []string{"good", "bad"}[i%2], i/3)
	}
	c, who := tsvConfig(writeFile(t, "x.csv", b.String())), "who"
	c.SplitBy = &who
	corpus, err := read(context.Background(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := corpus.Validation.len(); n != 15 {
		t.Errorf("%d examples are held out, want 15", n)
	}
	for _, key := range corpus.Validation.Keys {
		if slices.Contains(corpus.Train.Keys, key) {
			t.Errorf("%s is on both sides", key)
		}
	}
	if d, err := Open(context.Background(), c); err != nil || !strings.HasPrefix(d.Describe(), "table: 45 training, 15 validation texts") {
		t.Errorf("%v, %v", d, err)
	}
	c.Validation = c.Train
	if _, err := OpenWith(context.Background(), c, tokenizers.ByteTokenizer{}, nil); err == nil || !strings.Contains(err.Error(), "split_by") {
		t.Errorf("split_by beside a validation file: %v", err)
	}
}
