package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
)

func loaded(t *testing.T) *Claim {
	t.Helper()
	c := &Claim{}
	if err := configs.Load(name+".toml", c, configs.Options{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestComments: queries do not give their names away, and items, anchors, tests and what is learned from are apart.
func TestComments(t *testing.T) {
	pairs, err := comments()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if strings.HasPrefix(p.item, "sort: func Ints(") && strings.Contains(p.query, "Ints") {
			t.Errorf("query %q gives %q away", p.query, p.item)
		}
	}
	c := loaded(t)
	if len(pairs) < c.Items+1000 {
		t.Fatalf("%d comments for %d items", len(pairs), c.Items)
	}
	d, err := c.deal(c.Subjects[0], pairs)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.items) != c.Items || len(d.anchors) != c.Anchors || len(d.tests) != c.Tests || len(d.train) < 1000 {
		t.Errorf("%d items, %d anchors, %d tests, %d to learn from", len(d.items), len(d.anchors), len(d.tests), len(d.train))
	}
	searched := map[string]bool{}
	for _, item := range d.items {
		searched[item.Text] = true
	}
	asked := map[string]bool{}
	for _, q := range d.anchors {
		if asked[q.Text] = true; !searched[q.Gold] {
			t.Errorf("the item of %q is not searched", q.Text)
		}
	}
	for _, q := range d.tests {
		if asked[q.Text] || !searched[q.Gold] {
			t.Errorf("test %q is an anchor, or its item is not searched", q.Text)
		}
	}
	for _, q := range d.train {
		if asked[q.Text] || searched[q.Gold] {
			t.Errorf("%q is learned from and searched", q.Text)
		}
	}
	if got := sentence("Ints sorts a slice\nof ints. It is quick.", "Ints"); got != "sorts a slice of ints." {
		t.Errorf("sentence %q", got)
	}
}

// TestQuick: the short form trains all models, scores, searches and judges, of both subjects.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("trains ten models")
	}
	dir := t.TempDir()
	var rows strings.Builder
	rows.WriteString("index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n")
	for i := range 120 {
		rows.WriteString(strings.Repeat("x\t", 7) + "a sentence number " + strings.Repeat("i", i+1) + "\tanother one of " + strings.Repeat("j", i+1) + "\t" + []string{"0.0", "2.5", "5.0"}[i%3] + "\n")
	}
	for _, file := range []string{"train.tsv", "dev.tsv"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(rows.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SPARROW_STSB", dir)
	c := loaded(t)
	c.shorten()
	o, err := c.measure(t.Context(), "../../..", t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"comments", "sentences"} {
		m := o.Subjects[subject]
		for _, of := range []string{"recall@5 anncur 8", "recall@1 axn 16", "recall@5 rerank-dense-distilled 16", "k_0.9 share emb", "k_0.9 share cls"} {
			if len(m[of]) != c.Seeds {
				t.Errorf("%s: %d values of %s, want %d", subject, len(m[of]), of, c.Seeds)
			}
		}
	}
	if len(o.Findings) < 4 || !strings.Contains(o.text(c), "| rerank-bm25 |") {
		t.Errorf("findings %v\n%s", o.Findings, o.text(c))
	}
}
