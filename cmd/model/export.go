package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/card"
	"sparrow/interchange"
	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

func exportCommand() *cobra.Command {
	var out, format, ftype, base string
	var last, factored bool
	c := &cobra.Command{
		Use:   "export RUN|CHECKPOINT --format FORMAT -o PATH",
		Short: "Write a model for other tools",
		Long: `Write a model for other tools: a folder that transformers and sentence-transformers load (hf), a file that llama.cpp
loads (gguf), of an encoder or a vision transformer a folder with an ONNX file (onnx), or the arrays for numpy (npz). Factored layers are folded into dense
ones first, or with --factored kept in a folder of format hf, which the loader of docs/factored.md reads.`,
		Example: "  model export models/smollm2 --format gguf --type Q8_0 -o smollm2.gguf\n  model export models/minilm --format hf -o minilm",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return cli.Usagef("-o is missing: say where the model is to be written")
			}
			if !slices.Contains(interchange.Formats, format) {
				return cli.Usagef("--format %s; want one of %s", format, strings.Join(interchange.Formats, ", "))
			}
			if c.Flags().Changed("type") && format != "gguf" {
				return cli.Usagef("--type is for --format gguf: other formats hold float32")
			}
			if factored && format != "hf" {
				return cli.Usagef("--factored is for --format hf: other formats have dense layers only")
			}
			l, err := saved.OpenOn(args[0], base, last, model.Options{Packed: true})
			if err != nil {
				return err
			}
			e, err := outgoing(l)
			if err != nil {
				return err
			}
			if store := l.Session.Store(); factored {
				e.Factored = interchange.FactoredLayers(store, saved.Arrays(store))
			}
			e.Values = counted(os.Stderr, "exporting", e.Values, len(e.Names))
			if err := interchange.Export(e, format, out, ftype); err != nil {
				return err
			}
			readme := cardOf(out)
			if err := card.Write(readme, l, card.Made{Method: exported(l, format, ftype, factored)}); err != nil {
				return err
			}
			fmt.Printf("exported    %s\n%-10s  %s\ncard        %s\n", l.Dir, format, out, readme)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder or file to write")
	c.Flags().StringVar(&format, "format", "hf", "of what is written: "+strings.Join(interchange.Formats, ", "))
	c.Flags().StringVar(&ftype, "type", "F32", "of the matrices of a gguf: F32, F16, BF16, Q8_0, Q4_0 or Q4_K_M")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.Flags().BoolVar(&factored, "factored", false, "keep layers of few bytes as they are, of hf")
	baseFlag(c, &base)
	cli.Threads(c)
	cli.Choices(c, "format", interchange.Formats...)
	cli.Choices(c, "type", "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M")
	return c
}

// counted is values of total arrays, each asked for once, with progress on w if it takes long.
func counted(w io.Writer, what string, values func(name string) []float32, total int) func(name string) []float32 {
	progress, done := tensorProgress(w, what), 0
	return func(name string) []float32 {
		done++
		progress(done, total)
		return values(name)
	}
}

// outgoing is a model with dense layers and what belongs to it.
func outgoing(l *saved.Model) (interchange.Checkpoint, error) {
	dense := l.Session.Store().Dense()
	network := l.Config.Model.Dense()
	e := interchange.Checkpoint{
		Network: network, Dims: l.Dims, Files: map[string][]byte{}, Names: dense.Names(),
		Shape:  func(name string) []int { return dense.Shape(name) },
		Values: func(name string) []float32 { return dense.Get(name).Float32s() },
	}
	if body, ok := network.Of.(model.Padded); ok && body.Words() > 0 {
		e.Dims.VocabSize = body.Words()
	}
	for name := range l.Task.Facts().Files {
		text, err := l.Files.File(name)
		if err != nil {
			return e, err
		}
		e.Files[name] = text
	}
	if text, ok := e.Files["labels.json"]; ok {
		var labels task.Labels
		if err := json.Unmarshal(text, &labels); err != nil {
			return e, fmt.Errorf("%s: labels.json: %w", l.Dir, err)
		}
		e.Labels = labels.Names
	}
	return e, nil
}

// cardOf is where the card of what was written goes: into a folder as its README, beside a file.
func cardOf(out string) string {
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return filepath.Join(out, "README.md")
	}
	return out + ".md"
}

// exported are the sentences of a card on how an export came about.
func exported(l *saved.Model, format, ftype string, factored bool) []string {
	form := "exported as " + format
	if format == "gguf" {
		form += ", its matrices as " + ftype
	}
	all := []string{form}
	if state, err := saved.ReadState(l.Files); err == nil && state.Step > 0 {
		all = slices.Insert(all, 0, fmt.Sprintf("trained for %d steps of %d by %s", state.Step, l.Config.Train.BatchSize, l.Config.Train.Optimizer))
	}
	if len(l.Config.Model.Linear) > 0 {
		how := "folded into dense ones"
		if factored {
			how = "kept as they are"
		}
		all = append(all, fmt.Sprintf("layers of fewer bytes, by %d tables of [[model.linear]], %s", len(l.Config.Model.Linear), how))
	}
	return all
}
