package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/tests/claims/provenance"
)

func main() { provenance.Main(run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("vocabulary", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "a few steps, two seeds and little text, to check the machinery; writes no document")
	cache := flags.String("cache", "", "`folder` of finished cells (default: sparrow/vocabulary in the user's cache)")
	name := "ofa-words"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q stands after the flags: want the name of one claim, before them", flags.Arg(0))
	}
	root, err := provenance.Root()
	if err != nil {
		return err
	}
	path := filepath.Join(root, "tests", "claims", "vocabulary", name+".toml")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w; want the name of a claim in that folder, or none for ofa-words", err)
	}
	claim, err := decode(path, text)
	if err != nil {
		return err
	}
	if *quick {
		claim.shorten()
	} else if !provenance.Committed(path) {
		return fmt.Errorf("%s is not committed as it is: an expectation is written down before the first measurement", path)
	}
	if *cache, err = provenance.Cache(*cache, "vocabulary"); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "sparrow-vocabulary-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := &runner{claim: claim, cache: *cache, work: work, made: map[int]*subject{}, began: time.Now()}
	if r.key, err = key(claim); err != nil {
		return err
	}
	o, err := r.measure(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted; finished cells are in %s, the same command goes on", *cache)
		}
		return err
	}
	o.Commit, o.Machine = provenance.Commit(path), provenance.This()
	document := o.text(claim, *quick)
	if !*quick {
		base := filepath.Join(root, "docs", "claims", name)
		report, err := json.MarshalIndent(o, "", "  ")
		if err == nil {
			err = checkpoints.WriteFileAtomic(base+".json", append(report, '\n'))
		}
		if err == nil {
			err = checkpoints.WriteFileAtomic(base+".md", []byte(document))
		}
		if err == nil {
			err = o.draw(claim, base+".svg")
		}
		if err != nil {
			return err
		}
	}
	fmt.Println(document)
	return nil
}

// decode reads a claim.
func decode(path string, text []byte) (*Claim, error) {
	c := &Claim{Seeds: 5, Parent: recipe.Default(), Adapt: recipe.Default()}
	return c, configs.Decode(path, text, c, configs.Options{Lists: recipe.Lists()})
}

// shorten leaves what shows that the machinery works.
func (c *Claim) shorten() {
	c.Seeds, c.Steps, c.Rates = 2, []int{0, 2}, []float64{1e-4, 1e-3, 1e-2}
	for i := range c.Expect {
		c.Expect[i].At = c.Steps[min(1, c.Expect[i].At)]
	}
	c.Parent.Train.Steps, c.Parent.Train.WarmupSteps = 20, 2
	if c.Comments != nil {
		c.Comments.Words, c.Comments.Held = 300, 2000
	}
	if c.Pairs != nil {
		c.Pairs.Most, c.Pairs.Held, c.Pairs.Size = 400, 20, 1200
	}
}

// measure makes all cells that are not in the cache.
func (r *runner) measure(ctx context.Context) (*outcome, error) {
	o := &outcome{Title: r.claim.Title, Paper: r.claim.Paper}
	for _, arm := range r.claim.Arms {
		rate, tried, err := r.rate(ctx, arm.Name)
		if err != nil {
			return nil, err
		}
		o.Tried = append(o.Tried, tried...)
		for seed := range r.claim.Seeds {
			got, err := r.cell(ctx, Cell{Arm: arm.Name, Seed: seed + 1, Rate: rate})
			if err != nil {
				return nil, err
			}
			o.Cells = append(o.Cells, *got)
		}
	}
	o.judge(r.claim)
	return o, nil
}
