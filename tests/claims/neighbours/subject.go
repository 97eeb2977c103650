package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sparrow/internal/rng"
	"sparrow/retrieval"
)

// data is what a subject's models learn from and search in.
type data struct {
	items   []retrieval.Item
	anchors []retrieval.Query // queries with a gold item among items
	tests   []retrieval.Query
	train   []retrieval.Query // others, with their gold items among pool
	pool    []retrieval.Item

	scored    []scoredPair // pairs with scores to learn from; nil: there are none
	validated []scoredPair
}

type scoredPair struct {
	first, second, score string
}

var errAbsent = errors.New("the subject's data are not there")

// read reads a subject.
func (c *Claim) read(s Subject) (*data, error) {
	if s.Name == "sentences" {
		return c.sentences(s)
	}
	pairs, err := comments()
	if err != nil {
		return nil, err
	}
	return c.deal(s, pairs)
}

// pair is a query and the text that answers it.
type pair struct{ query, item string }

// deal draws items, anchors and tests of pairs; the rest is to learn from.
func (c *Claim) deal(s Subject, pairs []pair) (*data, error) {
	if len(pairs) < c.Items+10 {
		return nil, fmt.Errorf("%s: %d pairs for %d items", s.Name, len(pairs), c.Items)
	}
	r := rng.New(1, "claims/neighbours/"+s.Name, 0)
	for i := range pairs {
		j := i + r.Intn(len(pairs)-i)
		pairs[i], pairs[j] = pairs[j], pairs[i]
	}
	d := &data{}
	for i, p := range pairs {
		q := retrieval.Query{Text: p.query, Gold: p.item}
		switch {
		case i < c.Items:
			d.items = append(d.items, retrieval.Item{Text: p.item})
			if len(d.anchors) < c.Anchors {
				d.anchors = append(d.anchors, q)
			} else if len(d.tests) < c.Tests {
				d.tests = append(d.tests, q)
			}
		case s.Train == 0 || len(d.train) < s.Train:
			d.pool, d.train = append(d.pool, retrieval.Item{Text: p.item}), append(d.train, q)
		}
	}
	return d, nil
}

// comments are the exported functions and types of the Go standard library: the first sentence of the doc comment without the name, which
// would give it away, and the declaration behind the name of its package.
func comments() ([]pair, error) {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("%w: go env GOROOT: %w", errAbsent, err)
		}
		root = strings.TrimSpace(string(out))
	}
	root = filepath.Join(root, "src")
	var pairs []pair
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() {
			if name == "testdata" || name == "vendor" || name == "internal" || name == "cmd" {
				return filepath.SkipDir
			}
			return nil
		} else if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil // of another version of the language
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			query := sentence(f.Doc.Text(), f.Name.Name)
			f.Body, f.Doc = nil, nil
			var text strings.Builder
			if err := printer.Fprint(&text, files, f); err != nil {
				return err
			}
			item := file.Name.Name + ": " + strings.Join(strings.Fields(text.String()), " ")
			if len(query) > 20 && !seen[query] && !seen[item] {
				seen[query], seen[item] = true, true
				pairs = append(pairs, pair{query, item})
			}
		}
		return nil
	})
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.item, b.item), cmp.Compare(a.query, b.query)) })
	return pairs, err
}

// sentence is the first one of a doc comment, without the name that it begins with.
func sentence(doc, name string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i+1]
	}
	return strings.TrimSpace(strings.ReplaceAll(doc, name, ""))
}

// sentences are pairs of STS-B that mean much the same, and all of its pairs with their scores.
func (c *Claim) sentences(s Subject) (*data, error) {
	root := os.Getenv("SPARROW_STSB")
	if root == "" {
		return nil, fmt.Errorf("%w: set SPARROW_STSB to the folder of STS-B that has train.tsv and dev.tsv", errAbsent)
	}
	train, err := stsb(filepath.Join(root, "train.tsv"))
	if err != nil {
		return nil, err
	}
	held, err := stsb(filepath.Join(root, "dev.tsv"))
	if err != nil {
		return nil, err
	}
	if s.Train > 0 {
		held = held[:min(len(held), s.Train)]
	}
	// Items and queries are those of all pairs, alike or not: what is searched is what the cross-encoder likes best.
	d := &data{validated: held}
	seen := map[string]bool{}
	var pairs []pair
	for _, p := range train {
		if !seen[p.first] && !seen[p.second] && p.first != p.second {
			seen[p.first], seen[p.second] = true, true
			pairs = append(pairs, pair{p.first, p.second})
		}
	}
	dealt, err := c.deal(s, pairs)
	if err != nil {
		return nil, err
	}
	d.items, d.anchors, d.tests = dealt.items, dealt.anchors, dealt.tests
	tested := map[string]bool{}
	for _, q := range d.tests {
		tested[q.Text] = true
	}
	for _, p := range train {
		if !tested[p.first] && !tested[p.second] && (s.Train == 0 || len(d.scored) < s.Train) {
			d.scored = append(d.scored, p)
		}
	}
	// Pairs that mean the same are the lists that the [EMB] head learns from.
	pooled := map[string]bool{}
	for _, p := range d.scored {
		if x, err := strconv.ParseFloat(p.score, 64); err == nil && x >= 4 && !pooled[p.second] {
			pooled[p.second] = true
			d.pool, d.train = append(d.pool, retrieval.Item{Text: p.second}), append(d.train, retrieval.Query{Text: p.first, Gold: p.second})
		}
	}
	for _, all := range [][]retrieval.Query{d.anchors, d.tests} {
		for i := range all {
			all[i].Gold = "" // a pair may be unlike: nothing is gold
		}
	}
	return d, nil
}

// stsb reads a file of GLUE's STS-B: columns sentence1, sentence2 and score.
func stsb(path string) (all []scoredPair, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for number := 0; lines.Scan(); number++ {
		fields := strings.Split(lines.Text(), "\t")
		if number == 0 {
			continue
		}
		if len(fields) < 10 {
			return nil, fmt.Errorf("%s:%d: %d columns, want 10", path, number+1, len(fields))
		}
		all = append(all, scoredPair{fields[7], fields[8], strings.TrimSpace(fields[9])})
	}
	return all, lines.Err()
}
