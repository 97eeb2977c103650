package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/interchange"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/saved"
)

// inspection is what inspect prints, as JSON.
type inspection struct {
	Checkpoint string               `json:"checkpoint"`
	Kind       string               `json:"kind"`
	Step       int                  `json:"step"`
	Parent     *checkpoints.Lineage `json:"parent"`

	Calibration *checkpoints.Calibration `json:"calibration,omitempty"`

	Base       string                 `json:"base,omitempty"`      // of an adapter: folder of the checkpoint with the frozen weights
	SHA256     string                 `json:"sha256"`              // of the manifest
	Attention  *decoder.AttentionCost `json:"attention,omitempty"` // of a decoder, with a cache in float32
	Layers     []layerInfo            `json:"layers"`              // the linear ones
	Tensors    []tensorInfo           `json:"tensors"`
	Parameters int                    `json:"parameters"`
	Bytes      int64                  `json:"bytes"` // of all tensors of the model, on disk
}

type tensorInfo struct {
	Name       string `json:"name"`
	Shape      []int  `json:"shape"`
	DType      string `json:"dtype"`
	Parameters int    `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// layerInfo is one linear layer and what represents it.
type layerInfo struct {
	Name       string  `json:"name"`
	Kind       string  `json:"kind"`
	Shape      [2]int  `json:"shape"`          // out, in
	Base       string  `json:"base,omitempty"` // how a lora layer keeps its frozen weight
	Rank       int     `json:"rank,omitempty"`
	Density    float64 `json:"density,omitempty"`
	Block      int     `json:"block,omitempty"` // width of a dense_sparse layer's blocks
	Atoms      int     `json:"atoms,omitempty"` // of each of its dictionaries
	Nonzeros   []int   `json:"nonzeros,omitempty"`
	Quantize   string  `json:"quantize,omitempty"`    // int8 or int4: how the values are stored
	QuantBlock int     `json:"quant_block,omitempty"` // of them share a scale
	Parameters int     `json:"parameters"`
	Bytes      int     `json:"bytes"` // of parameters, scales, indices and frozen weights, as stored
}

// layers lists the linear layers with their sizes, biases left out.
func layers(s *nn.Store) ([]layerInfo, error) {
	var out []layerInfo
	for _, name := range s.Layers() {
		l := s.Layer(name)
		info := layerInfo{Name: name, Kind: l.Rule.Name, Shape: [2]int{l.Out, l.In}, Parameters: l.Parameters()}
		info.Bytes = l.StoredBytes(s.Dtype)
		if q := l.Rule.Quantization(); q.Bits > 0 {
			info.Quantize, info.QuantBlock = q.Name(), q.Block
		}
		if k, ok := l.Rule.Of.(nn.Based); ok {
			info.Base = k.Base().Name()
		}
		sizes, err := json.Marshal(l.Rule.Of) // the kind's own, under the same names
		if err == nil {
			err = json.Unmarshal(sizes, &info)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, info)
	}
	return out, nil
}

func inspectCommand() *cobra.Command {
	var last, asJSON bool
	var base string
	c := &cobra.Command{
		Use:   "inspect RUN|CHECKPOINT|SOURCE",
		Short: "Show a checkpoint's tensors, sizes and lineage, or what a model from elsewhere holds",
		Long: "Show a checkpoint's tensors, sizes and lineage, or what a model from elsewhere holds and whether model import takes it.\n" +
			"SOURCE is what model import takes; what hub:OWNER/NAME names is fetched into the cache, where model import finds it.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], hubPrefix) || foreignModel(args[0]) {
				return inspectForeign(args[0], asJSON)
			}
			l, err := saved.Describe(args[0], base, last)
			if err != nil {
				return err
			}
			in := inspect(l.Dir, l.Files.Manifest())
			if body, ok := l.Config.Model.Body().(decoder.Config); ok {
				in.Attention = body.AttentionCost(false)
			}
			if in.Layers, err = layers(l.Session.Store()); err != nil {
				return err
			}
			if l.Base != nil {
				in.Base = l.Base.Dir()
			}
			if asJSON {
				e := json.NewEncoder(os.Stdout)
				e.SetIndent("", "  ")
				return e.Encode(in)
			}
			return in.print()
		},
	}
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func inspect(dir string, m checkpoints.Manifest) inspection {
	in := inspection{Checkpoint: dir, Kind: m.Kind, Step: m.Step, Parent: m.Parent, SHA256: m.SHA256, Calibration: m.Calibration}
	for _, f := range m.Files {
		if f.Name != "model.npz" {
			continue
		}
		for _, e := range f.Entries {
			n := 1
			for _, d := range e.Shape {
				n *= d
			}
			in.Tensors = append(in.Tensors, tensorInfo{e.Name, e.Shape, e.DType, n, e.Size})
			in.Parameters += n
			in.Bytes += e.Size
		}
	}
	return in
}

func (in inspection) print() error {
	fmt.Printf("checkpoint  %s\nkind        %s, step %d\n", in.Checkpoint, in.Kind, in.Step)
	if in.Parent != nil {
		fmt.Printf("parent      %s (%.12s)\n", in.Parent.Path, in.Parent.SHA256)
	}
	if c := in.Calibration; c != nil {
		fmt.Printf("calibrated  by %d samples of up to %d, seed %d\n", c.Examples, c.Length, c.Seed)
	}
	if in.Base != "" {
		fmt.Printf("base        %s, which has the weights that are not listed here\n", in.Base)
	}
	if in.Attention != nil {
		fmt.Println(in.Attention)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\nlinear layer\tkind\tshape\trank\tdensity\tparameters\tbytes")
	optional := func(x float64) string {
		if x == 0 {
			return "-"
		}
		return fmt.Sprint(x)
	}
	for _, l := range in.Layers {
		kind := l.Kind
		if l.Base != "" {
			kind += ", base " + l.Base
		}
		if l.Quantize != "" {
			kind += ", " + l.Quantize
		}
		fmt.Fprintf(w, "%s\t%s\t[%d, %d]\t%s\t%s\t%d\t%d\n", l.Name, kind, l.Shape[0], l.Shape[1], optional(float64(l.Rank)), optional(l.Density), l.Parameters, l.Bytes)
	}
	fmt.Fprintln(w, "\ntensor\tshape\tdtype\tparameters\tbytes")
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", t.Name, strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ", "), t.DType, t.Parameters, t.Bytes)
	}
	fmt.Fprintf(w, "total\t\t\t%d\t%d\n", in.Parameters, in.Bytes)
	return w.Flush()
}

// foreignModel tells whether a path is what model import reads, not a run or a checkpoint.
func foreignModel(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		return true
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(path, name))
		return err == nil
	}
	return has("config.json") && !has("manifest.json") && !has("config.toml")
}

// foreignInspection is what inspect prints of a model from elsewhere, as JSON.
type foreignInspection struct {
	Source     string       `json:"source"`
	Format     string       `json:"format"`
	Family     string       `json:"family"`
	Imports    bool         `json:"imports"`            // model import reads it
	Problems   string       `json:"problems,omitempty"` // why not
	Tensors    []tensorInfo `json:"tensors"`
	Parameters int          `json:"parameters"`
	Bytes      int64        `json:"bytes"`
}

// inspectForeign shows what a model holds before it is imported.
func inspectForeign(source string, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := local(ctx, source)
	if err != nil {
		return err
	}
	s, err := interchange.Open(path, interchange.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	in := foreignInspection{Source: source, Format: s.Format, Family: s.Family()}
	if _, err := s.Model(); err != nil {
		in.Problems = err.Error()
	}
	in.Imports = in.Problems == ""
	for _, t := range s.Tensors() {
		x := tensorInfo{t.Name, t.Shape, t.Type.Name, t.Elements(), int64(len(t.Bytes()))}
		in.Tensors = append(in.Tensors, x)
		in.Parameters += x.Parameters
		in.Bytes += x.Bytes
	}
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(in)
	}
	fmt.Printf("source      %s\nformat      %s, %s\n", source, in.Format, in.Family)
	if in.Imports {
		fmt.Println("imports     yes")
	} else {
		fmt.Printf("imports     no: %s\n", in.Problems)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\ntensor\tshape\tdtype\tparameters\tbytes")
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", t.Name, strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ", "), t.DType, t.Parameters, t.Bytes)
	}
	fmt.Fprintf(w, "total\t\t\t%d\t%d\n", in.Parameters, in.Bytes)
	return w.Flush()
}
