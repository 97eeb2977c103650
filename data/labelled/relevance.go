package labelled

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sparrow/data"
)

// Relevance is a collection of documents and queries, and which documents answer a query.
type Relevance struct {
	Documents []Document        // in the order of the file
	Queries   []Document        // those that have a judgement, in the order of the file
	Judged    map[string]Grades // by the id of the query
}

// Grades are how well documents answer a query, by their ids: 0 or less is not at all.
type Grades map[string]int

// Document is a document or a query.
type Document struct {
	ID   string
	Text string // of a document with a title that comes first, with a space between
}

// maxRecord bounds a line of a collection, in bytes.
const maxRecord = 64 << 20

// ReadRelevance reads a folder in the layout of BEIR (Thakur et al. 2021): corpus.jsonl and queries.jsonl, one object a line with
// _id, text and, of documents, title; and qrels/test.tsv, a header and lines of query, document and grade. The judgements of
// another split are qrels/SPLIT.tsv.
func ReadRelevance(dir, split string) (*Relevance, error) {
	r := &Relevance{Judged: map[string]Grades{}}
	var err error
	if r.Documents, err = readRecords(filepath.Join(dir, "corpus.jsonl")); err != nil {
		return nil, err
	}
	queries, err := readRecords(filepath.Join(dir, "queries.jsonl"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "qrels", split+".tsv")
	if err := r.readJudgements(path); err != nil {
		return nil, err
	}
	for _, q := range queries {
		if _, judged := r.Judged[q.ID]; judged {
			r.Queries = append(r.Queries, q)
		}
	}
	if len(r.Queries) < len(r.Judged) {
		known := map[string]bool{}
		for _, q := range queries {
			known[q.ID] = true
		}
		for _, id := range slices.Sorted(maps.Keys(r.Judged)) {
			if !known[id] {
				return nil, fmt.Errorf("data: %s: query %q is not in queries.jsonl", path, id)
			}
		}
	}
	if len(r.Documents) == 0 || len(r.Queries) == 0 {
		return nil, fmt.Errorf("data: %s has %d documents and %d judged queries; want at least one of each", dir, len(r.Documents), len(r.Queries))
	}
	return r, nil
}

// eachLine calls do with every line of a file, without its end; one that is empty is passed over.
func eachLine(path string, do func(n int, line []byte) error) error {
	file, err := data.OpenFile(path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer file.Close()
	in := bufio.NewScanner(file)
	in.Buffer(nil, maxRecord)
	n := 1
	for ; in.Scan(); n++ {
		if line := bytes.TrimSuffix(in.Bytes(), []byte("\r")); len(line) > 0 {
			if err := do(n, line); err != nil {
				return fmt.Errorf("data: %s:%d: %w", path, n, err)
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("data: %s:%d: %w", path, n, err)
	}
	return nil
}

func readRecords(path string) (all []Document, err error) {
	seen := map[string]bool{}
	err = eachLine(path, func(_ int, line []byte) error {
		var x struct {
			ID    *string `json:"_id"`
			Title string  `json:"title"`
			Text  *string `json:"text"`
		}
		d := json.NewDecoder(bytes.NewReader(line))
		if err := d.Decode(&x); err != nil {
			return err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return errors.New("more follows after the object")
		}
		switch {
		case x.ID == nil || x.Text == nil:
			return errors.New(`want an object with "_id" and "text"`)
		case seen[*x.ID]:
			return fmt.Errorf("_id %q comes twice", *x.ID)
		}
		seen[*x.ID] = true
		all = append(all, Document{*x.ID, strings.TrimSpace(x.Title + " " + *x.Text)})
		return nil
	})
	return all, err
}

func (r *Relevance) readJudgements(path string) error {
	return eachLine(path, func(n int, line []byte) error {
		fields := strings.Split(string(line), "\t")
		if len(fields) != 3 {
			return fmt.Errorf("%d columns; want query, document and grade with tabs between them", len(fields))
		}
		grade, err := strconv.Atoi(fields[2])
		switch {
		case err != nil && n == 1:
			return nil // the header
		case err != nil:
			return fmt.Errorf("grade %q; want a whole number", fields[2])
		}
		if r.Judged[fields[0]] == nil {
			r.Judged[fields[0]] = Grades{}
		}
		r.Judged[fields[0]][fields[1]] = grade
		return nil
	})
}

// Positive are the grades above 0, the best first.
func (g Grades) Positive() []int {
	var all []int
	for _, grade := range g {
		if grade > 0 {
			all = append(all, grade)
		}
	}
	slices.SortFunc(all, func(a, b int) int { return cmp.Compare(b, a) })
	return all
}
