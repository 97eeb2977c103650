package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/saved"
	"sparrow/task"
)

func predictCommand() *cobra.Command {
	var last, asJSON bool
	var base, page, domain, compute string
	c := &cobra.Command{
		Use:   "predict RUN|CHECKPOINT [TEXT|IMAGE...]",
		Short: "Label texts or images",
		Long: "Label texts: those given as arguments or, without any, the lines of standard input; for a model of pairs, two texts\n" +
			"with a tab between them. Prints a line for each: the label, its probability and the text, with tabs between them;\n" +
			"of a regression the score and the text. For a model of images the arguments or lines are PNG and JPEG files.",
		Example: "  model predict runs/imdb-lama 'a warm and funny film' 'two hours that I want back'\n" +
			"  model predict runs/imdb-lama --json < reviews.txt\n" +
			"  model predict runs/mnist-favit digit.png",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := computing(compute)
			if err != nil {
				return err
			}
			l, err := saved.OpenOn(args[0], base, last, o)
			if err != nil {
				return err
			}
			r, err := newReader(l, page != "", args[0])
			if err != nil {
				return err
			}
			r.domain = domain
			out := bufio.NewWriter(os.Stdout)
			defer out.Flush()
			label := func(lines []string) error {
				predictions, err := r.read(c.Context(), lines)
				if err != nil {
					return cli.Usagef("%w", err)
				}
				for i, x := range predictions {
					if err := r.print(out, lines[i], x, asJSON); err != nil {
						return err
					}
				}
				return out.Flush()
			}
			if len(args) > 1 {
				if r.predict.Reads() != task.OneImage {
					for _, arg := range args[1:] {
						if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
							fmt.Fprintf(os.Stderr, "note: %s is a file, whose name is labelled here; for the lines in it: %s < %s; to measure on a table of labelled texts: %s\n",
								arg, shell.Command("model", "predict", args[0]), shell.Quote(arg), shell.Command("model", "eval", args[0], "--file", arg))
						}
					}
				}
				err = label(args[1:])
			} else {
				err = eachLines(os.Stdin, label)
			}
			if err != nil || page == "" {
				return err
			}
			return r.writePage(page)
		},
	}
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	computeFlag(c, &compute)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.Flags().StringVar(&page, "attention", "", "of a model that pools words by attention: write an HTML `FILE` that shades each word by its weight")
	c.Flags().StringVar(&domain, "domain", "", "of a model whose classes were discovered: the domain of all that is labelled, if it is known")
	cli.Threads(c)
	return c
}

// maxLine bounds a line of input in bytes, so that no pipe fills the memory.
const maxLine = 16 << 20

// eachLines calls do with the lines of r: as many at a time as are there already, so that a pipe that waits for its answer
// gets it.
func eachLines(r io.Reader, do func([]string) error) error {
	const most = 256
	in := bufio.NewReaderSize(r, 1<<16)
	var lines []string
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return cli.Usagef("standard input: line %d: %w", n, err)
		}
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // a byte order mark is no part of the text
		}
		if err == nil || line != "" {
			lines = append(lines, strings.TrimSuffix(line, "\r"))
		}
		if err != nil || len(lines) == most || in.Buffered() == 0 {
			if failed := do(lines); failed != nil || err != nil {
				return failed
			}
			lines = lines[:0]
		}
	}
}

// readLine reads a line without its end; the error of the last one, if it has no end, is io.EOF.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return "", fmt.Errorf("it is longer than %d bytes", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimSuffix(string(line), "\n"), err
		}
	}
}
