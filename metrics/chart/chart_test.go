package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sound fails the test where a picture is no XML or has a place that is no number or outside of it.
func sound(t *testing.T, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("no XML: %v\n%.300s", err, svg)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if bytes.Contains(svg, []byte(bad)) {
			t.Errorf("the picture contains %s", bad)
		}
	}
	high, _ := strconv.Atoi(string(regexp.MustCompile(`viewBox="0 0 \d+ (\d+)"`).FindSubmatch(svg)[1]))
	for _, m := range regexp.MustCompile(` (x|cx|x1|x2|y|cy|y1|y2)="([^"]*)"`).FindAllSubmatch(svg, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		most := float64(width)
		if strings.Contains(string(m[1]), "y") {
			most = float64(high)
		}
		if err != nil || v < 0 || v > most {
			t.Errorf("%s is outside of the picture", m[0])
		}
	}
}

// TestChart: every line has a look of its own, its points lie in the plot on both kinds of axis, and the legend stands beside it.
func TestChart(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := Chart{Title: "A <title> that is so long that it does not fit in one line of the picture, whatever the letters are like", XLabel: "x & y", LogX: log, LogY: log, Notes: []string{"a note"}}
		for i := range 12 {
			c.Lines = append(c.Lines, Line{Name: fmt.Sprintf("line %d", i), X: []float64{1, 2000}, Y: []float64{0.01, float64(i + 1)}, Look: i, Dash: i % 2})
		}
		c.Lines = append(c.Lines, Line{Name: "whole", X: []float64{3000}, Y: []float64{0.2}, Errors: []float64{0.1}, Look: Ink, Dash: None}, Line{X: []float64{5}, Y: []float64{1}, Pale: true})
		var a, b bytes.Buffer
		if c.Write(&a) != nil || c.Write(&b) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatal("not written, or not twice alike")
		}
		sound(t, a.Bytes())
		text := a.String()
		for what, n := range map[string]int{"&lt;title&gt;": 1, "font-weight": 2, ">line 11</text>": 1, ">whole</text>": 1, "fill-opacity": 1, "x &amp; y": 1, "a note": 1} {
			if got := strings.Count(text, what); got != n {
				t.Errorf("%q %d times, want %d", what, got, n)
			}
		}
		looks := map[string]bool{}
		for _, l := range c.Lines[:12] {
			look := l.color() + l.shape()
			if looks[look] {
				t.Errorf("%s looks like another", l.Name)
			}
			looks[look] = true
		}
		// What is drawn fills the plot: the first and the last point of a line are most of its width apart.
		path := regexp.MustCompile(`<path d="M([0-9.]+) [0-9.]+L([0-9.]+) `).FindStringSubmatch(text)
		from, _ := strconv.ParseFloat(path[1], 64)
		to, _ := strconv.ParseFloat(path[2], 64)
		if share := (to - from) / (width - left - right); share < 0.55 || from < left || to > width-right {
			t.Errorf("a line runs from %g to %g, %.2f of the plot", from, to, share)
		}
	}
	var b bytes.Buffer
	if err := (Chart{}).Write(&b); err != nil {
		t.Fatal(err)
	}
	sound(t, b.Bytes())
}

func TestBars(t *testing.T) {
	var b bytes.Buffer
	bars := Bars{Title: "memory", XLabel: "MB", Names: []string{"a", "one whose name is longer than the room that there is for names"}, Values: []float64{100, 50}, Format: "%.0f"}
	if err := bars.Write(&b); err != nil {
		t.Fatal(err)
	}
	sound(t, b.Bytes())
	if got := regexp.MustCompile(`<rect x="270" y="\d+" width="([0-9.]+)"`).FindAllStringSubmatch(b.String(), -1); len(got) != 2 || got[0][1] != "520.0" || got[1][1] != "260.0" {
		t.Errorf("bars %q", got)
	}
	if (Bars{}).Write(io.Discard) == nil {
		t.Error("a picture of nothing")
	}
}

// Ticks of an axis where all values are alike in their first three digits differ.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
	}{{1.0545e6, 1.0563e6, false}, {0, 1000, false}, {1280, 5120, true}, {0.2, 0.9, true}, {1e-3, 1e6, true}, {-3, 3, false}} {
		s := newScale([]float64{c.low, c.high}, c.log, 0, 100)
		ticks := s.ticks()
		names := labels(ticks)
		if len(ticks) < 3 || len(ticks) > 13 {
			t.Errorf("from %g to %g: %d ticks", c.low, c.high, len(ticks))
		}
		for i, x := range ticks {
			if at := s.at(x); at < 0 || at > 100 || slices.Contains(names[:i], names[i]) {
				t.Errorf("from %g to %g: tick %s at %g of 100", c.low, c.high, names[i], at)
			}
		}
	}
	if Ticks(1, 1) != nil || Ticks(0, math.Inf(1)) != nil {
		t.Error("ticks of no range")
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
