package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	flags := flag.NewFlagSet("shift", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "one alpha, two seeds and 1,500 examples, to check the machinery; writes no document")
	cache := flags.String("cache", "", "`folder` of finished cells (default: sparrow/shift in the user's cache)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := provenance.Root()
	if err != nil {
		return err
	}
	path := filepath.Join(root, "tests", "claims", "shift", "lls-ddfa.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	claim, err := decode(path, text)
	if err != nil {
		return err
	}
	if *quick {
		claim.Alphas, claim.Domains, claim.Seeds, claim.MaxExamples = claim.Alphas[:1], claim.Domains[:1], 2, 1500
		claim.Texts.Train.Steps, claim.Images.Train.Steps, claim.Images.Train.WarmupSteps = 20, 20, 5
	} else if !provenance.Committed(path) {
		return fmt.Errorf("%s is not committed as it is: an expectation is written down before the first measurement", path)
	}
	if *cache, err = provenance.Cache(*cache, "shift"); err != nil {
		return err
	}
	o := &outcome{claim: claim, commit: provenance.Commit(path), machine: provenance.This()}
	if err := o.measure(ctx, *cache); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted; finished cells are in %s, the same command goes on", *cache)
		}
		return err
	}
	o.judge()
	document := o.text(*quick)
	if !*quick {
		dir := filepath.Join(root, "docs", "claims")
		report, err := json.MarshalIndent(o.report(), "", "  ")
		if err == nil {
			err = checkpoints.WriteFileAtomic(filepath.Join(dir, "lls-ddfa.json"), append(report, '\n'))
		}
		if err == nil {
			err = checkpoints.WriteFileAtomic(filepath.Join(dir, "lls-ddfa.md"), []byte(document))
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
	c := &Claim{Seeds: 5, MaxExamples: 5000, Condition: 20, Texts: recipe.Default(), Images: recipe.Default()}
	return c, configs.Decode(path, text, c, configs.Options{Lists: recipe.Lists()})
}

// measure makes all cells that are not in the cache.
func (o *outcome) measure(ctx context.Context, cache string) error {
	began := time.Now()
	for _, s := range o.claim.Subjects {
		all, err := s.load(ctx, o.claim.MaxExamples)
		if errors.Is(err, errMissing) {
			fmt.Fprintf(os.Stderr, "%s: left out: %v\n", s.Name, err)
			o.missing = append(o.missing, s.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %d examples of %d classes, %d features, %s\n", s.Name, all.x.Rows, len(all.classes), all.x.Cols, time.Since(began).Round(time.Second))
		versions := []*loaded{all}
		if len(all.classes) >= 4 {
			joined, blind, err := all.join(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			o.joined = append(o.joined, joining{s.Name, joined.classes, blind})
			versions = append(versions, joined)
		}
		for v, l := range versions {
			for _, alpha := range o.claim.Alphas {
				for _, times := range o.claim.Domains {
					for seed := range o.claim.Seeds {
						c := cell{s.Name, alpha, max(2, times*len(l.classes)), len(l.classes), v == 1, seed + 1}
						got, cached, err := o.one(ctx, cache, l, c)
						if err != nil {
							return fmt.Errorf("%+v: %w", c, err)
						}
						if alpha == o.claim.Alphas[0] && times == o.claim.Domains[0] && seed < wholeSeeds {
							full, err := o.full(ctx, cache, l, c)
							if err != nil {
								return fmt.Errorf("%+v: %w", c, err)
							}
							got = append(got, full)
						}
						o.cells = append(o.cells, result{c, got})
						if !cached {
							fmt.Fprintf(os.Stderr, "%+v: %.3f, k-means %.3f; %s\n", c, got[0].Accuracy, got[2].Accuracy, time.Since(began).Round(time.Second))
						}
					}
				}
			}
		}
	}
	return nil
}

// full finds what a discriminator that is trained in full reaches in a cell, or trains it.
func (o *outcome) full(ctx context.Context, cache string, l *loaded, c cell) (got measured, err error) {
	text, err := configs.Encode(struct {
		Texts  recipe.Config `toml:"texts"`
		Images recipe.Config `toml:"images"`
	}{o.claim.Texts, o.claim.Images})
	if err != nil {
		return got, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "full 1 %+v %d %g %v %v %s", c, o.claim.MaxExamples, o.claim.Condition, l.classes, l.class, text)
	path := filepath.Join(cache, hex.EncodeToString(sum.Sum(nil)[:16])+".json")
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &got) == nil && got.Method == trained {
		return got, nil
	}
	dir, err := os.MkdirTemp(cache, "full-")
	if err != nil {
		return got, err
	}
	defer os.RemoveAll(dir)
	if got, err = l.whole(ctx, c, o.claim, dir); err != nil {
		return got, err
	}
	if text, err = json.Marshal(got); err == nil {
		err = checkpoints.WriteFileAtomic(path, text)
	}
	return got, err
}

// one finds a cell in the cache or makes it. The cell's place, its examples and what the claim asks for decide its name.
func (o *outcome) one(ctx context.Context, cache string, l *loaded, c cell) (got []measured, cached bool, err error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "cell 1 %+v %d %g %v %v %.17g", c, o.claim.MaxExamples, o.claim.Condition, l.classes, l.class, l.x.Row(0))
	path := filepath.Join(cache, hex.EncodeToString(sum.Sum(nil)[:16])+".json")
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &got) == nil && len(got) == len(methods) {
		return got, true, nil
	}
	if got, err = measure(ctx, l.x, l.class, c, o.claim); err != nil {
		return nil, false, err
	}
	text, err := json.Marshal(got)
	if err != nil {
		return nil, false, err
	}
	return got, false, checkpoints.WriteFileAtomic(path, text)
}
