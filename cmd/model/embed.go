package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/saved"
	"sparrow/task"
)

func embedCommand() *cobra.Command {
	var last, asJSON bool
	var format, prompt, compute string
	var dims int
	c := &cobra.Command{
		Use:   "embed CHECKPOINT [TEXT...]",
		Short: "Give each text a vector",
		Long: "Give each text a vector: those given as arguments or, without any, the lines of standard input. The model says how its\n" +
			"vectors are pooled and whether they have length 1.\n\n" +
			"text prints the numbers of a vector on a line, json a line as {\"text\": \"...\", \"embedding\": [...]}, npy one matrix for numpy.",
		Example: "  model embed models/minilm 'a warm and funny film'\n  model embed models/minilm --format npy < texts.txt > vectors.npy",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON {
				format = "json"
			}
			if !slices.Contains([]string{"text", "json", "npy"}, format) {
				return cli.Usagef("--format %s; want text, json or npy", format)
			}
			o, err := computing(compute)
			if err != nil {
				return err
			}
			l, err := saved.Open(args[0], last, o)
			if err != nil {
				return err
			}
			e, ok := l.Task.(task.Embedder)
			if !ok {
				return cli.Usagef("%s holds no sentence encoder: its config has no [model.sentence]", l.Dir)
			}
			w := &vectors{out: bufio.NewWriter(os.Stdout), format: format}
			embed := func(lines []string) error {
				x, err := e.Embed(c.Context(), l.Session, lines, task.Vectors{Prompt: prompt, Dims: dims})
				var about *task.InputError
				if errors.As(err, &about) {
					return cli.Usagef("text %d: %w", w.done+about.Index+1, about.Err)
				}
				if err != nil {
					return err
				}
				return w.write(lines, x)
			}
			if len(args) > 1 {
				err = embed(args[1:])
			} else {
				err = eachLines(os.Stdin, embed)
			}
			return errors.Join(err, w.close(err))
		},
	}
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.Flags().BoolVar(&asJSON, "json", false, "as --format json")
	c.Flags().StringVar(&format, "format", "text", "of what is printed: text, json or npy")
	computeFlag(c, &compute)
	c.Flags().IntVar(&dims, "dims", 0, "keep the first `N` numbers of a vector, of models that are trained for it (0: all)")
	c.Flags().StringVar(&prompt, "prompt", "", "`NAME` of a prompt of the model, such as query, to put before each text (empty: its default, if any)")
	cli.Threads(c)
	cli.Choices(c, "format", "text", "json", "npy")
	return c
}

// vectors writes vectors as they come; a matrix for numpy at the end, since its header has the number of rows.
type vectors struct {
	out    *bufio.Writer
	format string
	done   int
	matrix [][]float32
}

func (w *vectors) write(lines []string, x [][]float32) error {
	w.done += len(lines)
	for i, v := range x {
		switch w.format {
		case "npy":
			w.matrix = append(w.matrix, v)
		case "json":
			var b strings.Builder
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(struct {
				Text      string    `json:"text"`
				Embedding []float32 `json:"embedding"`
			}{lines[i], v}); err != nil {
				return err
			}
			if _, err := w.out.WriteString(b.String()); err != nil {
				return err
			}
		default:
			for j, a := range v {
				if j > 0 {
					_ = w.out.WriteByte(' ') // Flush says what fails
				}
				_, _ = w.out.WriteString(strconv.FormatFloat(float64(a), 'g', -1, 32))
			}
			_ = w.out.WriteByte('\n')
		}
	}
	return w.out.Flush()
}

func (w *vectors) close(failed error) error {
	if failed == nil && w.format == "npy" {
		writeMatrix(w.out, w.matrix)
	}
	return w.out.Flush()
}

// writeMatrix writes rows as numpy's format 1.0.
func writeMatrix(w io.Writer, rows [][]float32) {
	width := 0
	if len(rows) > 0 {
		width = len(rows[0])
	}
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(rows), width)
	n := (10+len(dict)+1+63)/64*64 - 10
	_, _ = w.Write(append([]byte("\x93NUMPY\x01\x00"), byte(n), byte(n>>8)))
	fmt.Fprintf(w, "%-*s\n", n-1, dict)
	for _, r := range rows {
		_ = binary.Write(w, binary.LittleEndian, r) // Flush says what fails
	}
}
