package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sparrow/internal/measure"
)

// Bounds of a comparison of two versions.
const (
	fewestRounds = 9
	mostRounds   = 60
	mostTime     = 15 * time.Minute // of one benchmark; a round that has begun is finished
	wantedWidth  = 0.02             // half of the interval of the ratio
	slower       = 1.03             // an interval wholly above it is a regression
)

// asker is a worker, of this version or another.
type asker interface {
	ask(request) (reply, error)
	end()
}

// duel is a benchmark as two versions run it.
type duel struct {
	name    string
	prepare []request // once for each version, in a process of its own
	load    []request // of each process, before it is timed
	timed   request
	turns   int // of each side in a round
}

// contested are the benchmarks that two versions can be compared by.
var contested = []string{"step-a", "step-b", "decode-b", "compress-bert"}

// newDuel is one of them for one version, in terms that the workers of earlier versions know. dir is that version's own.
func newDuel(name string, threads int, dir, weights string) duel {
	if name == "compress-bert" {
		small := bertConfig{DModel: bertBase.DModel / 2, NLayer: bertBase.NLayer / 2, NHead: bertBase.NHead / 2, DFF: bertBase.DFF / 2}
		return duel{name: name, turns: 1,
			prepare: []request{{"cmd": "bert", "bert": small, "dir": dir, "threads": threads}},
			timed:   request{"cmd": "compress", "dir": dir, "threads": threads}}
	}
	c := networks[name]
	inputs, targets := c.tokens()
	d := duel{name: name, turns: 3, load: []request{{"cmd": "load", "config": c, "threads": threads, "inputs": inputs, "targets": targets, "weights": weights}}}
	switch name {
	case "step-a":
		d.load, d.timed = append(d.load, request{"cmd": "step", "steps": 10}), request{"cmd": "step", "steps": 5}
	case "step-b":
		d.load, d.timed = append(d.load, request{"cmd": "step", "steps": 2}), request{"cmd": "step", "steps": 1}
	case "decode-b":
		d.timed = request{"cmd": "decode", "prompt": make([]int, 16), "tokens": 112}
		d.load = append(d.load, d.timed)
	}
	return d
}

// comparison is the ratio of this version's times to another's.
type comparison struct {
	Name     string  `json:"name"`
	Threads  int     `json:"threads"`
	Ours     float64 `json:"ours"`  // seconds, median of the rounds
	Other    float64 `json:"other"` // seconds, of the other version
	Ratio    float64 `json:"ratio"` // ours over other: geometric mean of the rounds' ratios
	Low      float64 `json:"low"`   // of its 95% interval
	High     float64 `json:"high"`
	Rounds   int     `json:"rounds"`
	Narrow   bool    `json:"narrow"`   // the interval is within +-0.02
	Slower   bool    `json:"slower"`   // it lies wholly above 1.03
	Baseline string  `json:"baseline"` // the other version's binary
}

// contest compares two versions.
type contest struct {
	start   [2]func() (asker, error) // ours and the other's
	threads int
	now     func() time.Time
}

// errSlower is what against ends with if a benchmark became slower.
var errSlower = fmt.Errorf("bench: slower than the other version: an interval lies wholly above %g", slower)

// against compares this program with another build of it, by all contested benchmarks if none is named.
func against(binary string, names []string, threads []int, print func(comparison)) error {
	binary, err := exec.LookPath(binary)
	if err != nil {
		return fmt.Errorf("bench: --against: %w", err)
	}
	var slow error
	for _, name := range contested {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		for _, n := range threads {
			c := contest{threads: n, now: time.Now, start: [2]func() (asker, error){
				func() (asker, error) { return startOurs(n) },
				func() (asker, error) { return start(binary, n, binary, "worker") },
			}}
			r, err := c.compareIn(name)
			if err != nil {
				return err
			}
			r.Baseline = binary
			print(r)
			if r.Slower {
				slow = errSlower
			}
		}
	}
	return slow
}

// compareIn compares two versions in folders of their own.
func (c contest) compareIn(name string) (comparison, error) {
	weights := ""
	if net, ok := networks[name]; ok {
		path, done, err := writeWeights(net)
		if err != nil {
			return comparison{}, err
		}
		defer done()
		weights = path
	}
	var both [2]duel
	for i := range both {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return comparison{}, err
		}
		defer os.RemoveAll(dir)
		both[i] = newDuel(name, c.threads, dir, weights)
	}
	return c.compare(both)
}

// compare runs rounds until the interval is narrow. Each round has two new processes, so that what a process happens to get
// of memory and caches is no constant of the comparison, and which of them begins alternates.
func (c contest) compare(d [2]duel) (comparison, error) {
	r := comparison{Name: d[0].name, Threads: c.threads}
	began := c.now()
	for i := range d {
		if err := c.with(i, func(a asker) error { return askAll(a, d[i].prepare) }); err != nil {
			return r, err
		}
	}
	var times [2][]float64
	var logs []float64
	for round := 0; round < mostRounds; round++ {
		if round >= fewestRounds && (r.Narrow || c.now().Sub(began) > mostTime) {
			break
		}
		pair, err := c.round(d, round%2)
		if err != nil {
			return r, err
		}
		for i := range pair {
			times[i] = append(times[i], pair[i])
		}
		logs = append(logs, math.Log(pair[0]/pair[1]))
		r.Rounds, r.Ours, r.Other = len(logs), measure.Median(times[0]), measure.Median(times[1])
		r.Ratio, r.Low, r.High = interval(logs)
		r.Narrow = (r.High-r.Low)/2 <= wantedWidth
	}
	r.Slower = r.Low > slower
	return r, nil
}

// round is a median time of each side.
func (c contest) round(d [2]duel, first int) (pair [2]float64, err error) {
	var sides [2]asker
	for i := range sides {
		if sides[i], err = c.start[i](); err != nil {
			return pair, err
		}
		defer sides[i].end()
	}
	var times [2][]float64
	var last [2]reply
	for i := range sides {
		if err := askAll(sides[i], d[i].load); err != nil {
			return pair, err
		}
	}
	for turn := range d[0].turns {
		for k := range 2 {
			i := (first + turn + k) % 2
			if last[i], err = sides[i].ask(d[i].timed); err != nil {
				return pair, err
			}
			times[i] = append(times[i], last[i].Seconds...)
		}
	}
	for i := range pair {
		if pair[i] = measure.Median(times[i]); !(pair[i] > 0) {
			return pair, fmt.Errorf("bench: %s: no time in %d answers", d[i].name, d[i].turns)
		}
	}
	if math.Abs(last[0].Loss-last[1].Loss) > 1e-3 || !slices.Equal(last[0].Values, last[1].Values) {
		return pair, fmt.Errorf("bench: %s: the versions do not compute the same: loss %g and %g, values %v and %v", d[0].name, last[0].Loss, last[1].Loss, last[0].Values, last[1].Values)
	}
	return pair, nil
}

// with runs f beside a process of side i.
func (c contest) with(i int, f func(asker) error) error {
	a, err := c.start[i]()
	if err != nil {
		return err
	}
	defer a.end()
	return f(a)
}

func askAll(a asker, all []request) error {
	for _, r := range all {
		if _, err := a.ask(r); err != nil {
			return err
		}
	}
	return nil
}

// interval is the geometric mean of ratios given by their logarithms, and its 95% interval by Student's t.
func interval(logs []float64) (mean, low, high float64) {
	n := float64(len(logs))
	var sum, squares float64
	for _, x := range logs {
		sum += x
	}
	m := sum / n
	for _, x := range logs {
		squares += (x - m) * (x - m)
	}
	if n < 2 {
		return math.Exp(m), 0, math.Inf(1)
	}
	half := student975(len(logs)-1) * math.Sqrt(squares/(n-1)/n)
	return math.Exp(m), math.Exp(m - half), math.Exp(m + half)
}

// student975 is the 0.975 quantile of Student's t: from a table, and from Cornish and Fisher's expansion of it about the
// normal distribution's for 9 or more degrees of freedom, with an error below 0.001.
func student975(degrees int) float64 {
	if degrees <= 8 {
		return []float64{math.Inf(1), 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306}[degrees]
	}
	const z = 1.959964
	n := float64(degrees)
	return z + (z*z*z+z)/(4*n) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*n*n) + (3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*n*n*n)
}

// comparisonPrinter writes what against finds, for people or for machines.
func comparisonPrinter(asJSON bool) func(comparison) {
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		return func(r comparison) { e.Encode(r) }
	}
	header := false
	return func(r comparison) {
		if !header {
			fmt.Printf("ours over %s\n%-15s %7s %12s %12s %7s %15s %6s\n", r.Baseline, "name", "threads", "ours", "other", "ratio", "95% interval", "rounds")
			header = true
		}
		var notes []string
		if !r.Narrow {
			notes = append(notes, fmt.Sprintf("not within +-%g", wantedWidth))
		}
		if r.Slower {
			notes = append(notes, "slower")
		}
		fmt.Printf("%-15s %7d %12s %12s %7.3f %15s %6d  %s\n", r.Name, r.Threads, fmt.Sprintf("%.4g s", r.Ours), fmt.Sprintf("%.4g s", r.Other),
			r.Ratio, fmt.Sprintf("%.3f to %.3f", r.Low, r.High), r.Rounds, strings.Join(notes, ", "))
	}
}
