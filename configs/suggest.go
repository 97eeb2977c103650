package configs

import (
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// nearest returns the candidate that a typing mistake most likely turned into name: the smallest edit distance, at
// most one edit for each three letters (and one for a short name); the first of equals.
func nearest(name string, candidates []string) (string, bool) {
	best, bestDistance := "", max(1, (len(name)+2)/3)+1
	for _, c := range candidates {
		if dist := editDistance(name, c); dist < bestDistance {
			best, bestDistance = c, dist
		}
	}
	return best, best != ""
}

// editDistance is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours,
// one each.
func editDistance(a, b string) int {
	// Three rows of the table suffice; a swap looks two rows back.
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// findKey looks for a key of exactly this name in the tables of v, nearest the top first.
func findKey(v reflect.Value, name string, key toml.Key) (toml.Key, bool) {
	v = sample(v)
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		first, _ := step(v, "0")
		return findKey(first, name, element(key, 0))
	}
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	if _, ok := fieldNamed(v, name); ok {
		return child(key, name), true
	}
	for _, f := range fieldsOf(v) {
		if found, ok := findKey(f.v, name, child(key, f.name)); ok {
			return found, true
		}
	}
	return nil, false
}

// alsoNamed tells whether a tag such as also:"lr|rate" says that other tools call a key so.
func alsoNamed(tag reflect.StructTag, name string) bool {
	return slices.Contains(strings.Split(tag.Get("also"), "|"), name)
}

// findAlso looks for a key that other tools call name, first in the table v at key, then from the root.
func (d *decoder) findAlso(v reflect.Value, key toml.Key, name string) (toml.Key, bool) {
	if found, ok := findTagged(v, name, key); ok {
		return found, true
	}
	return findTagged(d.root, name, nil)
}

// findTagged looks for a key of which a tag says that it is called name elsewhere, in v and its tables, nearest the top first.
func findTagged(v reflect.Value, name string, key toml.Key) (toml.Key, bool) {
	v = sample(v)
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	for _, f := range fieldsOf(v) {
		if alsoNamed(f.tag, name) {
			return child(key, f.name), true
		}
	}
	for _, f := range fieldsOf(v) {
		if found, ok := findTagged(f.v, name, child(key, f.name)); ok {
			return found, true
		}
	}
	return nil, false
}
