package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"sparrow/data/cubes"
	"sparrow/restore"
)

// restoreReport is what --report writes. A band that was left out has null for a number.
type restoreReport struct {
	Task      string     `json:"task"`
	Prior     string     `json:"prior"`
	Rank      int        `json:"rank"`
	Spectrum  []float64  `json:"spectrum"` // energy a pixel in units of the noise
	Edge      float64    `json:"edge,omitempty"`
	Blind     bool       `json:"blind"`
	Sigma     []*float64 `json:"sigma"`
	Whiteness []*float64 `json:"whiteness"`
	Left      []int      `json:"left_out"`    // bands, from 1
	Chosen    []int      `json:"basis_bands"` // bands, from 1
	Condition float64    `json:"condition"`   // of the basis
	Largest   float64    `json:"largest"`     // coefficient of a basis of bands
	Seconds   float64    `json:"seconds"`
}

func newReport(f *restoreFlags, r *restore.Result, took time.Duration) restoreReport {
	numbers := func(x []float64) (y []*float64) {
		for _, v := range x {
			if v != v {
				y = append(y, nil)
			} else {
				y = append(y, &v)
			}
		}
		return y
	}
	return restoreReport{Task: f.task, Prior: f.prior, Rank: r.Rank, Spectrum: r.Values, Edge: r.Edge, Blind: r.Blind, Sigma: numbers(r.Sigma), Whiteness: numbers(r.Whiteness),
		Left: fromOne(r.Left), Chosen: fromOne(r.Chosen), Condition: r.Condition, Largest: r.Largest, Seconds: took.Seconds()}
}

func fromOne(bands []int) []int {
	own := []int{}
	for _, b := range bands {
		own = append(own, b+1)
	}
	return own
}

// print says the same in a few lines.
func (p restoreReport) print(w io.Writer, r *restore.Result) {
	noise, white := finite(r.Sigma), finite(r.Whiteness)
	how := "given"
	if r.Blind {
		how = "estimated"
	}
	fmt.Fprintf(w, "noise       %s, %.4g to %.4g, median %.4g\n", how, noise[0], noise[len(noise)-1], cubes.Quantile(noise, 0.5))
	var first []string
	for _, v := range r.Values[:min(len(r.Values), 8)] {
		first = append(first, fmt.Sprintf("%.4g", v))
	}
	fmt.Fprintf(w, "rank        %d; energies %s", r.Rank, strings.Join(first, " "))
	if r.Edge > 0 {
		fmt.Fprintf(w, "; noise alone stays below %.4g", r.Edge)
	}
	fmt.Fprintln(w)
	if len(p.Chosen) > 0 {
		fmt.Fprintf(w, "bands       %v, condition %.3g, largest coefficient %.3g\n", p.Chosen, r.Condition, r.Largest)
	}
	if len(white) > 0 {
		fmt.Fprintf(w, "taken away  %.3f to %.3f of the noise's variance, median %.3f; noise alone would be %.3f\n", white[0], white[len(white)-1], cubes.Quantile(white, 0.5), 1-float64(r.Rank)/float64(len(white)))
	}
	if len(p.Left) > 0 {
		fmt.Fprintf(w, "left out    bands %v: constant, returned as they came\n", p.Left)
	}
	fmt.Fprintf(w, "time        %.1f s\n", p.Seconds)
}

// finite are the numbers among x, in ascending order.
func finite(x []float64) []float64 {
	var y []float64
	for _, v := range x {
		if !math.IsNaN(v) {
			y = append(y, v)
		}
	}
	slices.Sort(y)
	return y
}
