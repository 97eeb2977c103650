package main

import (
	"slices"
	"testing"
)

// Ticks of an axis where all values are alike in their first three digits differ.
func TestShortTicks(t *testing.T) {
	for _, c := range []struct{ low, high float64 }{{1.0545e6, 1.0563e6}, {0, 1000}, {1280, 5120}, {0.2, 0.9}} {
		var labels []string
		for _, tick := range shortTicks(c.low, c.high) {
			if tick.Label == "" {
				continue
			}
			if slices.Contains(labels, tick.Label) {
				t.Errorf("from %g to %g: two ticks are labelled %s", c.low, c.high, tick.Label)
			}
			labels = append(labels, tick.Label)
		}
		if len(labels) < 2 {
			t.Errorf("from %g to %g: labels %q, want several", c.low, c.high, labels)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"one line", []string{"one line"}},
		{"one line and another", []string{"one line", "and", "another"}},
		{"größer ist", []string{"größer", "ist"}},
		{"incomprehensible word", []string{"incomprehensible", "word"}},
	} {
		if got := wrap(c.text, 8); !slices.Equal(got, c.want) {
			t.Errorf("wrap(%q, 8) = %q, want %q", c.text, got, c.want)
		}
	}
}
