package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/discover"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/discovery"
	"sparrow/task/discovery/atlas"
)

// discovered are the flags of discover.
type discovered struct {
	out, counts, classes, truth string
	method                      string
	table                       discovery.Table
	last                        bool
	examples                    int
	cfg                         discover.Config
}

func discoverCommand() *cobra.Command {
	var d discovered
	c := &cobra.Command{
		Use:   "discover RUN|CHECKPOINT -o FOLDER",
		Short: "Find classes in data of several domains, without labels",
		Long: "Find classes in data of several domains, of which only the shares differ: a run with [task] kind = \"discover\" has learned\n" +
			"to tell the domains apart, and what it says of each example gives the classes. A sentence encoder, such as an imported one,\n" +
			"stays as it is: --data names a table of texts and domains, and a head on its vectors tells the domains apart. A table of\n" +
			"counts (--counts), a line a word or category and a column a domain, needs no model.\n\n" +
			"Writes a folder with labels.tsv (the class of each example), domains.tsv (the share of each class), index.html (both as\n" +
			"pictures, with examples) and checkpoint, which model predict uses.",
		Example: "  model discover runs/reviews --classes 4 -o classes\n  model discover runs/reviews --classes auto -o classes --truth topic\n" +
			"  model discover models/minilm --data reviews.tsv --text text --domains shop -o classes\n  model discover --counts words.tsv --classes 3 -o topics\n  model predict classes/checkpoint --domain shop-3 'it broke after a week'",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := d.check(c, args); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			var err error
			if d.counts != "" {
				err = d.mix(ctx)
			} else {
				err = d.model(ctx, args[0])
			}
			if ctx.Err() != nil {
				return shell.ErrInterrupted
			}
			return refused(err)
		},
	}
	c.Flags().StringVarP(&d.out, "output", "o", "", "`FOLDER` to write, which must not be there yet")
	c.Flags().StringVar(&d.classes, "classes", "auto", "how many classes, 2 or more; auto: as many as the counts show")
	c.Flags().IntVar(&d.cfg.Cells, "cells", 0, "cells of similar examples that are counted (0: as many as classes)")
	c.Flags().StringVar(&d.method, "method", string(discover.Separable), "how corners are found: separable (cells that no others mix), random (NMF from a random start, as in the paper)")
	c.Flags().Uint64Var(&d.cfg.Seed, "seed", 1, "of the cells and of what is drawn again")
	c.Flags().BoolVar(&d.cfg.Force, "force", false, "go on where the counts show fewer classes than are asked for")
	c.Flags().StringVar(&d.truth, "truth", "", "score by the true classes: another `COLUMN` of the data's table, or folder, of images in folders below their domain's")
	c.Flags().StringVar(&d.table.File, "data", "", "of a sentence encoder: `FILE` of tab-separated values with a header, a text and its domain a line")
	c.Flags().StringVar(&d.table.Text, "text", "text", "`COLUMN` of the texts of --data")
	c.Flags().StringVar(&d.table.Domain, "domains", "domain", "`COLUMN` of the domains of --data")
	c.Flags().IntVar(&d.table.Limit, "max-examples", 0, "most examples of --data, chosen by hashes (0: all)")
	c.Flags().StringVar(&d.counts, "counts", "", "factorize a `FILE` of counts in place of a model's data: tab-separated, with a header that names the domains")
	c.Flags().IntVar(&d.examples, "examples", 8, "examples of each class on the page, 1 to 100")
	c.Flags().BoolVar(&d.last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}

// check refuses flags that are wrong before anything is read.
func (d *discovered) check(c *cobra.Command, args []string) error {
	switch {
	case d.counts != "" && len(args) > 0:
		return cli.Usagef("--counts %s needs no model, but there is %s; name one of the two", d.counts, args[0])
	case d.counts == "" && len(args) == 0:
		return cli.Usagef("name a run or checkpoint with [task] kind = \"discover\", or a table by --counts FILE")
	case d.examples < 1 || d.examples > 100:
		return cli.Usagef("--examples = %d: want 1 to 100", d.examples)
	case d.table.Limit < 0:
		return cli.Usagef("--max-examples = %d: want 0 or more", d.table.Limit)
	case d.table.File == "" && (c.Flags().Changed("text") || c.Flags().Changed("domains") || c.Flags().Changed("max-examples")):
		return cli.Usagef("--text, --domains and --max-examples are of a table of texts; name it by --data FILE")
	case d.cfg.Cells < 0:
		return cli.Usagef("--cells = %d: want 0 or more", d.cfg.Cells)
	case d.method != string(discover.Separable) && d.method != string(discover.Random):
		return cli.Usagef("--method = %q: want separable or random", d.method)
	}
	for _, flag := range []string{"cells", "truth", "examples", "last", "data", "text", "domains", "max-examples"} {
		if d.counts != "" && c.Flags().Changed(flag) {
			return cli.Usagef("--%s is for a model, not for a table of counts", flag)
		}
	}
	d.cfg.Method = discover.Method(d.method)
	if d.classes != c.Flags().Lookup("classes").DefValue {
		n, err := strconv.Atoi(d.classes)
		if err != nil || n < 2 {
			return cli.Usagef("--classes = %q: want a number of 2 or more, or auto", d.classes)
		}
		d.cfg.Classes = n
	}
	if _, err := os.Lstat(d.out); err == nil {
		return cli.Usagef("-o %s exists already: choose a new folder", d.out)
	} else if !errors.Is(err, os.ErrNotExist) {
		return cli.Usagef("-o: %w", err)
	}
	return nil
}

// refused is the error with what was measured, if the data cannot tell.
func refused(err error) error {
	var r *discover.Refusal
	if !errors.As(err, &r) {
		return err
	}
	var more strings.Builder
	if r.Rank != nil {
		fmt.Fprintf(&more, "\nsingular values  %s", atlas.Spectrum(r.Rank.Spectrum, r.Rank.Chance))
	}
	if r.Condition > 0 {
		fmt.Fprintf(&more, "\ncondition        %.3g", r.Condition)
	}
	return cli.Usagef("%w%s", err, more.String())
}

// model finds classes in the data of a run.
func (d *discovered) model(ctx context.Context, path string) error {
	l, err := saved.Open(path, d.last, model.Options{})
	if err != nil {
		return err
	}
	if l.Config.Adapter() {
		return cli.Usagef("%s is an adapter; fold it into its base first by: %s", l.Dir, shell.Command("model", "merge", path, "-o", "NEW"))
	}
	began := time.Now()
	var shown *progress.Progress
	c, err := d.find(ctx, l, discovery.Options{Config: d.cfg, Truth: d.truth, After: func(done, total int) {
		if shown == nil && time.Since(began) > patience {
			shown = progress.New(os.Stderr, total, 0)
			shown.Counts("examples")
			shown.Plain()
		}
		if shown != nil {
			shown.Step(done, 0, float64(done)/time.Since(began).Seconds())
		}
	}})
	if shown != nil {
		shown.Close()
	}
	if err != nil {
		return err
	}
	for _, note := range c.Notes {
		fmt.Fprintf(os.Stderr, "note: %s\n", note)
	}
	if err := d.write(ctx, l, c); err != nil {
		return err
	}
	d.print(c)
	return nil
}

// find looks for classes in the data of a run, or in a table by the vectors of a model. The model becomes one of discovered classes.
func (d *discovered) find(ctx context.Context, l *saved.Model, o discovery.Options) (*discovery.Classes, error) {
	features := discovery.Features(l.Task)
	own, trained := l.Task.(*discovery.Task)
	switch {
	case d.table.File != "" && features == nil:
		return nil, cli.Usagef("--data is for a sentence encoder, whose vectors are used as they are; %s has data of its own: leave the flag out", l.Dir)
	case features != nil && d.table.File == "":
		return nil, cli.Usagef("%s gives vectors of texts; name a table of texts and domains by --data FILE --text COLUMN --domains COLUMN", l.Dir)
	case features != nil:
		c, err := discovery.Fit(ctx, features, l.Session, d.table, o)
		if err == nil {
			l.Config.Task, l.Config.Data = &recipe.Task{Kind: "discover"}, recipe.From(recipe.NoneWithin(l.Config.LabelledContext()))
		}
		return c, err
	case !trained:
		return nil, cli.Usagef("%s was not trained to tell domains apart: train one with [task] kind = \"discover\" and the domains as labels", l.Dir)
	}
	return own.Discover(ctx, l.Session, o)
}

// write makes the folder.
func (d *discovered) write(ctx context.Context, l *saved.Model, c *discovery.Classes) error {
	var page bytes.Buffer
	if err := atlas.Write(ctx, &page, "Classes discovered by "+l.Dir, c, d.examples); err != nil {
		return err
	}
	if err := os.MkdirAll(d.out, 0o777); err != nil {
		return cli.Usagef("-o: %w", err)
	}
	if err := l.Extend(filepath.Join(d.out, "checkpoint"), c.Files); err != nil {
		return err
	}
	var labels strings.Builder
	labels.WriteString("class\tprobability\tdomain\texample\n")
	for i, x := range c.Examples {
		what := x.Text
		if x.Image != nil {
			what = x.Name
		}
		fmt.Fprintf(&labels, "%s\t%.4f\t%s\t%s\n", c.Model.Classes[c.Label[i]], c.Known.Row(i)[c.Label[i]], x.Label, oneField(what))
	}
	prior := priorTable(c.Model.Domains, c.Model.Classes, func(y, at int) (float64, float64) { return c.Model.Prior[y][at], c.Error.Row(y)[at] })
	return writeAll(d.out, map[string][]byte{"labels.tsv": []byte(labels.String()), "domains.tsv": prior, "index.html": page.Bytes()})
}

// oneField keeps what would end a field of a table out of it.
func oneField(s string) string {
	return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(s)
}

// priorTable has a line for each domain: the share of each class and its standard error.
func priorTable(domains, classes []string, at func(y, d int) (share, deviation float64)) []byte {
	var b strings.Builder
	b.WriteString("domain")
	for _, name := range classes {
		fmt.Fprintf(&b, "\t%s\terror", name)
	}
	b.WriteByte('\n')
	for d, name := range domains {
		b.WriteString(oneField(name))
		for y := range classes {
			share, deviation := at(y, d)
			fmt.Fprintf(&b, "\t%.4f\t%.4f", share, deviation)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

func writeAll(dir string, files map[string][]byte) error {
	for _, name := range []string{"labels.tsv", "domains.tsv", "rows.tsv", "index.html"} {
		if content, ok := files[name]; ok {
			if err := checkpoints.WriteFileAtomic(filepath.Join(dir, name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *discovered) print(c *discovery.Classes) {
	fmt.Printf("examples    %d of %d domains, %d cells\n", len(c.Examples), len(c.Model.Domains), c.Cells)
	fmt.Printf("domains     loss %.4f, by temperature %.3f %.4f; their sizes alone give %.4f\n", c.Loss, c.Model.Temperature, c.Calibrated, c.Chance)
	fmt.Printf("rank        %d classes show: %s\n", c.Rank.Classes, atlas.Spectrum(c.Rank.Spectrum, c.Rank.Chance))
	fmt.Printf("corners     condition %.3g\n", c.Condition)
	fmt.Printf("control     shares spread %.4f, with permuted domains %.4f at most\n", c.Spread, c.Control)
	for y, name := range c.Model.Classes {
		n := 0
		for _, label := range c.Label {
			if label == y {
				n++
			}
		}
		truth := ""
		if c.Of != nil && c.Of[y] >= 0 {
			truth = ", mostly " + c.Truths[c.Of[y]]
		}
		fmt.Printf("%-11s %d examples, purity %.3f%s\n", name, n, c.Purity[y], truth)
	}
	if c.Truths != nil && !math.IsNaN(c.Accuracy) {
		fmt.Printf("truth       accuracy %.4f, L1 error of the shares %.4f\n", c.Accuracy, c.Distance)
	}
	what := "TEXT"
	if c.Examples[0].Image != nil {
		what = "IMAGE"
	}
	fmt.Printf("page        %s\n\nnext:\n  %s\n", filepath.Join(d.out, "index.html"), shell.Command("model", "predict", filepath.Join(d.out, "checkpoint"), what))
}

// table finds the classes of a table of counts.
func (d *discovered) mix(ctx context.Context) error {
	content, err := data.ReadFile(d.counts)
	if err != nil {
		return cli.Usagef("--counts: %w", err)
	}
	t, err := discover.ParseTable(d.counts, content)
	if err != nil {
		return task.Refuse(err)
	}
	x, err := discover.Mix(ctx, t, d.cfg)
	if err != nil {
		return err
	}
	for _, note := range x.Notes {
		fmt.Fprintf(os.Stderr, "note: %s\n", note)
	}
	if err := os.MkdirAll(d.out, 0o777); err != nil {
		return cli.Usagef("-o: %w", err)
	}
	var rows strings.Builder
	rows.WriteString("name\t" + strings.Join(x.Classes, "\t") + "\n")
	for i, name := range t.Rows {
		rows.WriteString(name)
		for _, v := range x.Rows.Row(i) {
			fmt.Fprintf(&rows, "\t%.6g", v)
		}
		rows.WriteByte('\n')
	}
	prior := priorTable(t.Domains, x.Classes, func(y, at int) (float64, float64) { return x.Prior.Row(y)[at], x.Error.Row(y)[at] })
	if err := writeAll(d.out, map[string][]byte{"domains.tsv": prior, "rows.tsv": []byte(rows.String())}); err != nil {
		return err
	}
	fmt.Printf("counts      %d rows in %d domains\n", len(t.Rows), len(t.Domains))
	fmt.Printf("rank        %d classes show: %s\n", x.Rank.Classes, atlas.Spectrum(x.Rank.Spectrum, x.Rank.Chance))
	fmt.Printf("corners     condition %.3g\n", x.Condition)
	fmt.Printf("control     shares spread %.4f, with permuted domains %.4f at most\n", x.Spread, x.Control)
	for y, name := range x.Classes {
		fmt.Printf("%-11s %s\n", name, strings.Join(t.Typical(x, y, 8), ", "))
	}
	fmt.Printf("shares      %s\n", filepath.Join(d.out, "domains.tsv"))
	return nil
}
