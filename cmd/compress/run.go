package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sparrow/card"
	"sparrow/compress"
	"sparrow/compress/report"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/saved"
)

func runCommand() *cobra.Command {
	var file, dir string
	var set []string
	var noEval bool
	c := &cobra.Command{
		Use:   "run -c FILE [--set KEY=VALUE]... [-o DIR]",
		Short: "Compress a checkpoint",
		Long: "Compress a checkpoint as planned, into a folder whose checkpoints are like any others. What was done is kept in a\n" +
			"journal: run it again after a crash and it continues. Its report.html explains the result, as compress report does.",
		Example: "  compress run -c configs/compress-fwsvd.toml\n  compress run -c configs/compress-svd.toml --set compress.ratio=0.2 -o runs/smaller",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := compress.Load(file, set)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", cfg.Name)
			}
			cfg.Unmeasured = noEval
			ctx, stop := interruptible()
			defer stop()
			r, err := compress.Run(ctx, cfg, dir, os.Stderr)
			if err != nil {
				return stopped(ctx, err, "; what is done is kept, continue by the same command")
			}
			page := ""
			if r.Measure != "" { // else nothing was planned, of which it could tell
				if page, err = report.Write(dir, ""); err != nil {
					return err
				}
			}
			if err := writeCard(cfg, r, dir); err != nil {
				return err
			}
			return printResult(os.Stdout, r, dir, page)
		},
	}
	configFlags(c, &file, &set)
	c.Flags().StringVarP(&dir, "output", "o", "", "folder of the result (default runs/<name>)")
	c.Flags().BoolVar(&noEval, "no-eval", false, "measure neither model on the validation split; run it again without, or model eval, measures then")
	return c
}

func printResult(w io.Writer, r *compress.Result, dir, page string) error {
	score := func(name string, q *compress.Quality) {
		if q == nil {
			return
		}
		fmt.Fprintf(w, "%-15s ", name)
		for i, v := range q.Values {
			if i > 0 {
				fmt.Fprint(w, ", ")
			}
			fmt.Fprintf(w, "%s %.4f", v.Name, v.Value)
		}
		fmt.Fprintf(w, " (%d %s)\n", q.Count, q.Unit)
	}
	score("before", r.Before)
	score("compressed", r.Compressed)
	score("fine-tuned", r.Tuned)
	if r.Changed != nil {
		fmt.Fprintf(w, "atoms changed   in each tenth of fine-tuning %s\n", r.Changed)
	}
	if r.Before != nil && r.Measure == "fisher" {
		fmt.Fprintf(w, "loss increase   %s measured, %s predicted\n", nats(r.Compressed.Loss()-r.Before.Loss()), nats(r.Loss))
	}
	if doubt := r.Doubt(); doubt != "" {
		fmt.Fprintf(w, "warning: %s\n", doubt)
	}
	if page == "" { // there is no promise to verify
		_, err := fmt.Fprintf(w, "checkpoint      %s\n\nnext:\n  %s\n", filepath.Join(dir, filepath.FromSlash(r.Checkpoint)), shell.Command("model", "eval", dir))
		return err
	}
	_, err := fmt.Fprintf(w, "checkpoint      %s\nreport          %s\ncard            %s\n\nnext:\n  %s\n  %s\n",
		filepath.Join(dir, filepath.FromSlash(r.Checkpoint)), page, filepath.Join(dir, "README.md"), shell.Command("compress", "verify", dir), shell.Command("model", "eval", dir))
	return err
}

// writeCard writes the model card of the result into the compression's folder.
func writeCard(cfg compress.Config, r *compress.Result, dir string) error {
	l, err := saved.Open(filepath.Join(dir, filepath.FromSlash(r.Checkpoint)), false, model.Options{Packed: true}, cfg.Compress.Known)
	if err != nil {
		return err
	}
	m := card.Made{Method: []string{fmt.Sprintf("compressed by %s: %d linear layers, see report.html and compress.toml", cfg.Compress.Method, len(r.Layers))}}
	after := r.Compressed
	if r.Tuned != nil {
		after = r.Tuned
	}
	if cfg.Compress.Finetune != nil {
		m.Method = append(m.Method, fmt.Sprintf("trained for %d steps after that", cfg.Compress.Finetune.Steps))
	}
	if r.Before != nil && after != nil {
		for i, v := range after.Values {
			m.Scores = append(m.Scores, card.Change(v.Name, v.Value, r.Before.Values[i].Value))
		}
	}
	return card.Write(filepath.Join(dir, "README.md"), l, m)
}
