package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/machine"
	"sparrow/internal/shell"
	"sparrow/saved"
)

// listed is a model in a list.
type listed struct {
	Path    string   `json:"path"`
	Network string   `json:"network"`
	Data    string   `json:"data"` // source; "none": the model comes from elsewhere
	Step    int      `json:"step"` // of the checkpoint that is used
	Bytes   int64    `json:"bytes"`
	Metric  string   `json:"metric,omitempty"` // that the run's best is best by
	Score   *float64 `json:"score,omitempty"`
	Parent  string   `json:"parent,omitempty"`
	Problem string   `json:"problem,omitempty"` // why it cannot be used
}

func listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [DIR...]",
		Short: "List runs and models with their kinds, sizes and scores",
		Long: "Lists the runs, compressions and imported models in folders and one level below them (default: runs and models), with the\n" +
			"network, the data, the step and size of the checkpoint that is used, and the score that the run recorded of it.",
		Example: "  model list\n  model list runs/sweep-tiny --json",
		RunE: func(_ *cobra.Command, args []string) error {
			dirs := args
			if len(dirs) == 0 {
				dirs = []string{"runs", "models"}
			}
			all := []listed{}
			for _, dir := range dirs {
				found, err := listDir(dir, 1)
				if err != nil && len(args) > 0 {
					return cli.Usagef("%w; want a folder of runs", err)
				}
				all = append(all, found...)
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(all)
			}
			if len(all) == 0 {
				fmt.Printf("no models in %s; make one by:\n  %s\n", strings.Join(dirs, ", "), shell.Command("train", "init", "decoder", "-o", "my.toml"))
				return nil
			}
			return writeList(os.Stdout, all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

// listDir lists a folder, or what is in it and so many levels below.
func listDir(dir string, depth int) (all []listed, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if x, is := describeCheckpoint(path); is {
			all = append(all, x)
			continue
		}
		if depth > 0 {
			more, err := listDir(path, depth-1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// describeCheckpoint is what a list tells of a run, a compression or a checkpoint; is says that the folder is one.
func describeCheckpoint(path string) (x listed, is bool) {
	for _, name := range []string{"manifest.json", "config.toml", "compress.toml"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			is = true
		}
	}
	if !is {
		return x, false
	}
	x.Path = path
	l, err := saved.Describe(path, "", false)
	if err != nil {
		x.Problem = strings.ReplaceAll(err.Error(), "\n", " ")
		return x, true
	}
	x.Network, x.Data, x.Step = l.Config.Model.Name, l.Config.Data.Name, l.Files.Manifest().Step
	for _, f := range l.Files.Manifest().Files {
		x.Bytes += f.Size
	}
	if p := l.Files.Manifest().Parent; p != nil {
		x.Parent = p.Path
	}
	if s, err := saved.ReadState(l.Files); err == nil && (s.BestStep > 0 || s.StartBest) {
		x.Metric, x.Score = l.Config.Eval.Metric, &s.BestMetric
		if x.Metric == "loss" {
			x.Score = &s.BestLoss
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) { // imported and compressed models lack the state of a run
		x.Problem = err.Error()
	}
	return x, true
}

// writeList writes a table for people.
func writeList(w io.Writer, all []listed) error {
	wide := len("model")
	for _, x := range all {
		wide = max(wide, len(x.Path))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s  %-11s  %-12s  %7s  %9s  %s\n", wide, "model", "network", "data", "step", "size", "score")
	for _, x := range all {
		if x.Problem != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", wide, x.Path, x.Problem)
			continue
		}
		score := ""
		if x.Score != nil {
			score = fmt.Sprintf("%s %.4f", strings.ReplaceAll(x.Metric, "_", " "), *x.Score)
		}
		if x.Parent != "" {
			score = strings.TrimSpace(score + "  from " + x.Parent)
		}
		fmt.Fprintf(&b, "%-*s  %-11s  %-12s  %7d  %9s  %s\n", wide, x.Path, x.Network, x.Data, x.Step, machine.Bytes(float64(x.Bytes)), score)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
