package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestRecall: each sequence has its bytes, keys that differ, and questions whose answers stand in its pairs; no two sequences are the
// same, and two texts are.
func TestRecall(t *testing.T) {
	const length, pairs, sequences = 33, 6, 50
	c := Recall{Pairs: pairs, Sequences: sequences}
	all := c.text(length)
	if len(all) != length*sequences || !bytes.Equal(all, c.text(length)) {
		t.Fatalf("%d bytes, want %d, the same each time", len(all), length*sequences)
	}
	seen, answers := map[string]bool{}, map[byte]int{}
	for i := range sequences {
		s := all[i*length : (i+1)*length]
		seen[string(s)] = true
		values := map[byte]byte{}
		for k := range pairs {
			values[s[2*k]] = s[2*k+1]
			if !strings.ContainsRune(recallKeys, rune(s[2*k])) || !strings.ContainsRune(recallValues, rune(s[2*k+1])) {
				t.Fatalf("pair %d of %q is none", k, s)
			}
		}
		if len(values) != pairs {
			t.Errorf("%q has %d different keys, want %d", s, len(values), pairs)
		}
		for k := 2 * pairs; k+1 < length; k += 2 {
			if v, ok := values[s[k]]; !ok || v != s[k+1] {
				t.Errorf("%q answers %c by %c, want %c", s, s[k], s[k+1], v)
			}
			answers[s[k+1]]++
		}
	}
	if len(seen) != sequences || len(answers) < 20 {
		t.Errorf("%d different sequences with %d different answers", len(seen), len(answers))
	}
}

// TestSplit: classes with too few lines are left out, each line is in one part, and the parts do not depend on the order of lines.
func TestSplit(t *testing.T) {
	var lines []string
	for i := range 300 {
		lines = append(lines, strings.Join([]string{strings.Repeat("x", i%7) + string(rune('a'+i%26)), []string{"games", "math", "rare"}[min(i%60, 2)%3], "text"}, "\t"))
	}
	table := "name\tsection\ttext\n" + strings.Join(lines, "\n") + "\n"
	s := Split{File: "t.tsv", Least: 6, TestShare: 0.3}
	train, test, classes, err := s.divide(table, "section")
	if err != nil || classes != 1 {
		t.Fatalf("%d classes, %v; want the one that has enough", classes, err)
	}
	n, m := bytes.Count(train, []byte("\n"))-1, bytes.Count(test, []byte("\n"))-1
	if n+m != 290 || m < 50 || m > 130 || bytes.Contains(train, []byte("\tgames\t")) {
		t.Errorf("%d and %d lines; want 290 in all, about a third in the second", n, m)
	}
	if _, _, _, err := s.divide(table, "class"); err == nil || !strings.Contains(err.Error(), "no column") {
		t.Errorf("no such column: %v", err)
	}
}
