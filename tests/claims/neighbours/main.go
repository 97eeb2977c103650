package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/tests/claims/provenance"
)

func main() { provenance.Main(run) }

const name = "anncur-recall"

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("neighbours", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "tiny models and few items, to check the machinery; writes no document")
	only := flags.String("subject", "", "`NAME` of the one subject to run (default: all)")
	cache := flags.String("cache", "", "`folder` of models and scores (default: sparrow/neighbours in the user's cache)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := provenance.Root()
	if err != nil {
		return err
	}
	path := filepath.Join(root, "tests", "claims", "neighbours", name+".toml")
	claim := &Claim{}
	if err := configs.Load(path, claim, configs.Options{}); err != nil {
		return err
	}
	if *quick {
		claim.shorten()
	} else if !provenance.Committed(path) {
		return fmt.Errorf("%s is not committed as it is: an expectation is written down before the first measurement", path)
	}
	if *cache == "" && *quick {
		if *cache, err = os.MkdirTemp("", "sparrow-neighbours-"); err != nil {
			return err
		}
		defer os.RemoveAll(*cache)
	}
	if *cache, err = provenance.Cache(*cache, "neighbours"); err != nil {
		return err
	}
	o, err := claim.measure(ctx, root, *cache, *only)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted; models and scores are in %s, the same command goes on", *cache)
		}
		return err
	}
	o.Commit, o.Machine = provenance.Commit(path), provenance.This()
	document := o.text(claim)
	if !*quick && *only == "" {
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

// measure measures all subjects, or one.
func (c *Claim) measure(ctx context.Context, root, cache, only string) (*outcome, error) {
	bin := filepath.Join(cache, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	for _, program := range []string{"train", "model"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(bin, program), "./cmd/"+program)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build ./cmd/%s: %w: %s", program, err, out)
		}
	}
	base := os.Getenv("SPARROW_MINILM")
	if c.quick {
		base = ""
	} else if base == "" {
		return nil, errors.New("set SPARROW_MINILM to a checkpoint of all-MiniLM-L6-v2, as model import hub:sentence-transformers/all-MiniLM-L6-v2 writes it")
	} else if abs, err := filepath.Abs(base); err == nil {
		base = abs
	}
	o := &outcome{Title: c.Title, Statement: c.Statement, Paper: c.Paper, Subjects: map[string]measures{}}
	began := time.Now()
	for _, s := range c.Subjects {
		if only != "" && s.Name != only {
			continue
		}
		d, err := c.read(s)
		if errors.Is(err, errAbsent) {
			o.Skipped = append(o.Skipped, fmt.Sprintf("%s: %v", s.Name, err))
			continue
		}
		if err != nil {
			return nil, err
		}
		w := &workshop{claim: c, subject: s, data: d, bin: bin, dir: filepath.Join(cache, s.Name), base: base}
		if err := os.MkdirAll(w.dir, 0o755); err != nil {
			return nil, err
		}
		say := func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%v %s: %s\n", time.Since(began).Round(time.Second), s.Name, fmt.Sprintf(format, args...))
		}
		say("%d items, %d anchor and %d test queries, %d to learn from", len(d.items), len(d.anchors), len(d.tests), max(len(d.train), len(d.scored)))
		if err := w.models(ctx); err != nil {
			return nil, err
		}
		say("models are trained")
		if o.Subjects[s.Name], err = w.measure(ctx, say); err != nil {
			return nil, err
		}
	}
	if len(o.Subjects) == 0 {
		return nil, fmt.Errorf("nothing was measured: %v", o.Skipped)
	}
	return o, o.judge(c)
}
