package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/interpret"
	"sparrow/model/decode"
	"sparrow/saved"
)

// steering is what the flags of generate say of features that are added.
type steering struct {
	by    string
	kl    float64
	alpha float64
}

func (s *steering) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.by, "steer", "", "add a feature to every token: `FEATURES:LAYER:FEATURE`, of a folder of model interpret fit")
	c.Flags().Float64Var(&s.kl, "kl", 0.25, "with --steer: how much the next token changes, nats; below 0: there is less of the feature")
	c.Flags().Float64Var(&s.alpha, "alpha", 0, "with --steer: how much is added, in place of --kl: what an earlier run has printed")
}

// find is what is added, and says on standard error how much.
func (s *steering) find(ctx context.Context, c *cobra.Command, l *saved.Model, stages bool) ([]decode.Addition, error) {
	switch set := c.Flags().Changed; {
	case s.by == "" && (set("kl") || set("alpha")):
		return nil, cli.Usagef("--kl and --alpha say how much of a feature --steer adds; name it")
	case s.by == "":
		return nil, nil
	case set("kl") && set("alpha"):
		return nil, cli.Usagef("--kl and --alpha both say how much is added; want one")
	case stages:
		return nil, cli.Usagef("--afd: separate stages know no --steer; leave one out")
	}
	folder, choice, err := interpret.ParseSteer(s.by)
	if err != nil {
		return nil, err
	}
	f, err := interpret.Open(folder)
	if err != nil {
		return nil, err
	}
	if c.Flags().Changed("alpha") {
		x, err := f.Fixed(l, choice, s.alpha)
		return []decode.Addition{x.Add}, err
	}
	x, err := f.Steer(ctx, l, choice, s.kl)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, x)
	return []decode.Addition{x.Add}, nil
}

// steerer finds what features of a folder add to a model, each strength once.
func steerer(l *saved.Model, dir string) (func(feature string, kl, alpha *float64) (decode.Addition, error), error) {
	f, err := interpret.Open(dir)
	if err == nil {
		err = f.Check(l)
	}
	if err != nil {
		return nil, err
	}
	type asked struct {
		choice interpret.Choice
		kl     float64
	}
	var mu sync.Mutex // a search takes seconds of all cores: one at a time
	found := map[asked]decode.Addition{}
	return func(feature string, kl, alpha *float64) (decode.Addition, error) {
		_, choice, err := interpret.ParseSteer(dir + ":" + feature)
		if err != nil {
			return decode.Addition{}, fmt.Errorf("feature %q; want LAYER:FEATURE or LAYER:METHOD/FEATURE", feature)
		}
		if alpha != nil {
			x, err := f.Fixed(l, choice, *alpha)
			return x.Add, err
		}
		wanted := 0.25
		if kl != nil {
			wanted = *kl
		}
		mu.Lock()
		defer mu.Unlock()
		key := asked{choice, wanted}
		if a, ok := found[key]; ok {
			return a, nil
		}
		x, err := f.Steer(context.Background(), l, choice, wanted)
		if err == nil && len(found) < mostFound {
			found[key] = x.Add
		}
		return x.Add, err
	}, nil
}

// mostFound is how many strengths a server keeps.
const mostFound = 1024
