package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sparrow/internal/measure"
)

// mostHours is how long a claim may take on two cores.
const mostHours = 6

// cells is what a claim has to do.
type cells struct {
	tuning, final, points int
	parents               int
	seconds               float64 // of one core, or of the machine where nothing runs side by side; 0: not known
	known                 bool
	by                    string // what seconds are estimated from
}

func (n cells) total() int { return n.tuning + n.final + n.points + n.parents }

// announce says what will be run and about how long that takes, and refuses what takes more than a claim may.
func (c *Claim) announce(o options, out io.Writer) error {
	n, err := c.count(o)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d cells", n.total())
	switch {
	case c.Sweep != nil:
		what += fmt.Sprintf(", sizes times batches, of %d arms each in turn", len(c.Arms))
	case c.Compress != nil:
		what += fmt.Sprintf(": %d networks to compress, %d to choose learning rates, %d compressions", n.parents, n.tuning, n.final)
	default:
		what += fmt.Sprintf(": %d runs to choose learning rates, %d of %d seeds", n.tuning, n.final, c.Seeds)
	}
	cores := 1.0 // of two
	if c.Parallel && c.Sweep == nil {
		cores = 2
	}
	hours := n.seconds / cores / 3600
	took := "how long it takes is not known: no result of it is stored and the claim names no hours"
	if n.known {
		took = fmt.Sprintf("about %s on 2 cores, by %s", hoursText(hours), n.by)
	}
	if o.quick {
		took = "a few steps each"
	}
	fmt.Fprintf(out, "%s: %s; %s; results of finished cells are kept in %s, and a run is cut into pieces of %s at most\n", c.Name, what, took, o.cache, o.piece)
	if hours > mostHours && !o.quick && !o.dryRun {
		return fmt.Errorf("%w: %s would take about %s on 2 cores, more than the %d hours that a claim may; want fewer seeds, steps, sizes or ratios", errUsage, c.Name, hoursText(hours), mostHours)
	}
	return nil
}

func hoursText(hours float64) string {
	if hours < 1 {
		return fmt.Sprintf("%.0f min", max(1, 60*hours))
	}
	return fmt.Sprintf("%.1f hours", hours)
}

// count counts the cells, and estimates their time from the stored results of arms of the same names, or else from what the
// claim says.
func (c *Claim) count(o options) (n cells, err error) {
	paces, err := c.paces(o.docs)
	if err != nil {
		return n, err
	}
	all := len(paces) > 0
	take := func(arm string, share float64) {
		pace, ok := paces[arm]
		all = all && ok
		n.seconds += share * pace
	}
	switch {
	case c.Sweep != nil:
		n.points = len(c.Sweep.Sizes) * len(c.Sweep.Batches)
		for _, a := range c.Arms {
			take(a.Name, 1)
		}
	case c.Compress != nil:
		n.parents = c.Seeds
		take(parentName, float64(c.Seeds))
		tuning, final := c.compressTuning(), c.compressPoints(nil)
		n.tuning, n.final = len(tuning), len(final)
		for _, j := range slices.Concat(tuning, final) {
			take(c.Arms[j.arm].Name, 1)
		}
	default:
		tuning, err := c.tuningJobs()
		if err != nil {
			return n, err
		}
		final, err := c.finalJobs(nil)
		if err != nil {
			return n, err
		}
		n.tuning, n.final = len(tuning), len(final)
		for _, j := range slices.Concat(tuning, final) {
			take(c.Arms[j.arm].Name, float64(j.cfg.Train.Steps))
		}
	}
	n.known, n.by = all, "stored results"
	if !all && c.Hours > 0 {
		n.known, n.by, n.seconds = true, "what the claim says", c.Hours*3600
		if c.Parallel && c.Sweep == nil {
			n.seconds *= 2
		}
	}
	if !n.known {
		n.seconds = 0
	}
	return n, nil
}

// paces are the seconds that an arm's cell took in the stored document of the claim, whichever form of it that is of: of a training
// run a step, of a sweep all cells.
func (c *Claim) paces(docs string) (map[string]float64, error) {
	text, err := os.ReadFile(filepath.Join(docs, c.Name+".json"))
	if err != nil {
		return nil, nil // nothing is stored
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %s.json: %w", errUsage, filepath.Join(docs, c.Name), err)
	}
	paces, runs := map[string]float64{}, map[string]float64{}
	for _, a := range d.PerSeed {
		for _, r := range a.Runs {
			seconds := r.Seconds
			if c.Compress == nil && r.Steps > 0 {
				seconds /= float64(r.Steps)
			}
			paces[a.Arm] += seconds
			runs[a.Arm]++
		}
	}
	for arm, k := range runs {
		paces[arm] /= k
	}
	for _, p := range d.Points {
		for _, a := range p.Arms {
			// Two runs to begin with, one to see how often to repeat it, and the rounds.
			each := measure.Median(a.Seconds)
			paces[a.Arm] += 3*each + float64(len(a.Seconds))*max(turn, each)
		}
	}
	return paces, nil
}
