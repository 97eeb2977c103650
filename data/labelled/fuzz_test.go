package labelled

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"sparrow/data/tokenizers"
)

// FuzzRelevance: no collection in BEIR's layout makes its reader panic, or keep queries that are not judged.
func FuzzRelevance(f *testing.F) {
	f.Add([]byte(`{"_id": "1", "title": "a", "text": "b"}`), []byte(`{"_id": "q", "text": "a"}`), []byte("query-id\tcorpus-id\tscore\nq\t1\t1\n"))
	f.Add([]byte("{}"), []byte("[]"), []byte("q\t1\tx"))
	f.Fuzz(func(t *testing.T, corpus, queries, judged []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "qrels"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{"corpus.jsonl": corpus, "queries.jsonl": queries, "qrels/test.tsv": judged} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := ReadRelevance(dir, "test")
		if err != nil {
			return
		}
		if len(r.Queries) != len(r.Judged) || len(r.Documents) == 0 {
			t.Errorf("%d queries of %d that are judged, %d documents", len(r.Queries), len(r.Judged), len(r.Documents))
		}
	})
}

// FuzzTSV: no table makes its reader panic.
func FuzzTSV(f *testing.F) {
	f.Add([]byte("a\tb\tlabel\nx\ty\t1\n"), true)
	f.Add([]byte("\xef\xbb\xbfa\tb\tlabel\r\nx\ty\t1.5\r\n"), false)
	f.Fuzz(func(t *testing.T, content []byte, scores bool) {
		path := filepath.Join(t.TempDir(), "x.tsv")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s := DefaultTable()
		s.Train, s.TextColumns, s.LabelColumn, s.Regression = path, []string{"a", "b"}, "label", scores
		c, err := s.Read(context.Background(), nil)
		if err == nil && !scores && len(c.Labels) == 0 {
			t.Error("a table without classes")
		}
		if scores {
			_, _ = s.Pairs(context.Background(), path, tokenizers.ByteTokenizer{})
		}
	})
}
