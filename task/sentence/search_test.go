package sentence

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data/labelled"
)

// TestRankingAsTrecEval: order, nDCG@10 and recall@100 are those of trec_eval, of equal scores too.
func TestRankingAsTrecEval(t *testing.T) {
	text, err := os.ReadFile("testdata/ranking.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Scores       map[string]float32
		Grades       labelled.Grades
		NDCG, Recall float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 8 {
		t.Fatalf("%d cases, want 8", len(cases))
	}
	for i, c := range cases {
		var documents []labelled.Document
		var vectors [][]float32 // of one number, so that the product with 1 is the score
		for _, id := range slices.Sorted(maps.Keys(c.Scores)) {
			documents, vectors = append(documents, labelled.Document{ID: id}), append(vectors, []float32{c.Scores[id]})
		}
		found := nearest("q", []float32{1}, documents, vectors)
		if x := ndcgOf(c.Grades, found); math.Abs(x-c.NDCG) > 1e-12 {
			t.Errorf("case %d: nDCG@10 %.15f, want %.15f", i, x, c.NDCG)
		}
		if x := recallOf(c.Grades, found); math.Abs(x-c.Recall) > 1e-12 {
			t.Errorf("case %d: recall@100 %.15f, want %.15f", i, x, c.Recall)
		}
	}
	own := nearest("b", []float32{1}, []labelled.Document{{ID: "a"}, {ID: "b"}}, [][]float32{{0}, {1}})
	if !slices.Equal(own, []string{"a"}) {
		t.Errorf("a query found %q; want all but what has its own id", own)
	}
}

// TestReadRelevance: titles come first, only judged queries count, and what is wrong is named with its line.
func TestReadRelevance(t *testing.T) {
	good := map[string]string{
		"corpus.jsonl":   `{"_id": "1", "title": "Title", "text": "body"}` + "\r\n\n" + `{"_id": "2", "title": "", "text": "only text", "metadata": {}}`,
		"queries.jsonl":  `{"_id": "q1", "text": "first"}` + "\n" + `{"_id": "q2", "text": "not judged"}` + "\n",
		"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\t1\t2\nq1\t2\t0\n",
	}
	read := func(change map[string]string) (*labelled.Relevance, error) {
		dir := t.TempDir()
		files := maps.Clone(good)
		maps.Copy(files, change)
		for name, content := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return labelled.ReadRelevance(dir, "test")
	}
	r, err := read(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Documents) != 2 || r.Documents[0] != (labelled.Document{ID: "1", Text: "Title body"}) || r.Documents[1].Text != "only text" {
		t.Errorf("documents %+v", r.Documents)
	}
	if len(r.Queries) != 1 || r.Queries[0].Text != "first" || !maps.Equal(r.Judged["q1"], labelled.Grades{"1": 2, "2": 0}) {
		t.Errorf("queries %+v, judged %v", r.Queries, r.Judged)
	}
	for name, c := range map[string]struct{ file, content, want string }{
		"no JSON":            {"corpus.jsonl", "{", "corpus.jsonl:1: "},
		"no id":              {"corpus.jsonl", `{"text": "x"}`, `corpus.jsonl:1: want an object with "_id"`},
		"id twice":           {"queries.jsonl", `{"_id": "q1", "text": "x"}` + "\n" + `{"_id": "q1", "text": "x"}`, `queries.jsonl:2: _id "q1" comes twice`},
		"two objects a line": {"queries.jsonl", `{"_id": "q1", "text": "x"} {}`, "queries.jsonl:1: more follows"},
		"columns":            {"qrels/test.tsv", "q\td\ts\nq1 1 2\n", "test.tsv:2: 1 columns"},
		"grade":              {"qrels/test.tsv", "q\td\ts\nq1\t1\tgood\n", `test.tsv:2: grade "good"`},
		"unknown query":      {"qrels/test.tsv", "q\td\ts\nq9\t1\t1\n", `query "q9" is not in queries.jsonl`},
		"nothing judged":     {"qrels/test.tsv", "q\td\ts\n", "0 judged queries"},
		"no documents":       {"corpus.jsonl", "", "0 documents"},
	} {
		if _, err := read(map[string]string{c.file: c.content}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := labelled.ReadRelevance(t.TempDir(), "test"); err == nil {
		t.Error("an empty folder is no error")
	}
}
