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

	"sparrow/interchange"
)

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
