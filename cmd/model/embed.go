package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

func embedCommand() *cobra.Command {
	var last, asJSON bool
	var format, prompt string
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
			l, err := saved.Open(args[0], last, model.Options{Packed: true})
			if err != nil {
				return err
			}
			e, ok := l.Task.(task.Embedder)
			if !ok {
				return cli.Usagef("%s holds no sentence encoder: its config has no [model.sentence]", l.Dir)
			}
			how, _ := l.Session.Network().(model.Sentences)
			if dims < 0 || dims > how.Width {
				return cli.Usagef("--dims = %d; want 1 to %d, or 0 for all", dims, how.Width)
			}
			before, err := promptOf(l, prompt)
			if err != nil {
				return err
			}
			w := &vectors{out: bufio.NewWriter(os.Stdout), format: format}
			embed := func(lines []string) error {
				texts := make([]string, len(lines))
				for i, line := range lines {
					texts[i] = before + line
				}
				x, err := e.Embed(c.Context(), l.Session, texts)
				var about *task.InputError
				if errors.As(err, &about) {
					return cli.Usagef("text %d: %w", w.done+about.Index+1, about.Err)
				}
				if err != nil {
					return err
				}
				return w.write(lines, cutTo(x, dims, how.Normalize))
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
	c.Flags().IntVar(&dims, "dims", 0, "keep the first `N` numbers of a vector, of models that are trained for it (0: all)")
	c.Flags().StringVar(&prompt, "prompt", "", "`NAME` of a prompt of the model, such as query, to put before each text (empty: its default, if any)")
	cli.Threads(c)
	return c
}

// promptOf is the text that the model wants before others, by config_sentence_transformers.json.
func promptOf(l *saved.Model, name string) (string, error) {
	var c struct {
		Prompts map[string]string `json:"prompts"`
		Default string            `json:"default_prompt_name"`
	}
	text, err := l.Files.File("config_sentence_transformers.json")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	switch {
	case name == "" && (err != nil || c.Default == ""):
		return "", nil
	case name == "":
		name = c.Default
	}
	prompt, ok := c.Prompts[name]
	if !ok {
		var known []string
		for k := range c.Prompts {
			known = append(known, k)
		}
		slices.Sort(known)
		return "", cli.Usagef("--prompt %s: the model has no such prompt; it has: %s", name, strings.Join(known, ", "))
	}
	return prompt, nil
}

// cutTo shortens vectors to n numbers and gives them length 1 again if they had it.
func cutTo(x [][]float32, n int, normalized bool) [][]float32 {
	if n == 0 {
		return x
	}
	for i, v := range x {
		x[i] = v[:n]
		var sum float64
		for _, a := range x[i] {
			sum += float64(a) * float64(a)
		}
		if !normalized || sum == 0 {
			continue
		}
		for j, a := range x[i] {
			x[i][j] = float32(float64(a) / math.Sqrt(sum))
		}
	}
	return x
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
