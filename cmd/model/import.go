package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/interchange"
	"sparrow/interchange/hub"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
	"sparrow/saved"
)

func importCommand() *cobra.Command {
	var out, dtype, tokenizer string
	var pairs, embeddings bool
	c := &cobra.Command{
		Use:   "import SOURCE -o CHECKPOINT",
		Short: "Make a checkpoint of a model from elsewhere",
		Long: `Make a checkpoint of a model from elsewhere: a folder of Hugging Face's kind (config.json, model.safetensors or
pytorch_model.bin, tokenizer.json or its parts), a .gguf, a .bin of llama2.c, a wheel or zip that holds one of these, or
hub:OWNER/NAME[@REVISION], a model of the hub that HF_ENDPOINT names (https://huggingface.co), into the cache below HF_HOME that
Hugging Face's own tools use; hub:OWNER/NAME/FILE.gguf is one file of it. HF_TOKEN opens private models. A download that was cut
goes on where it stopped.

All that is not supported, missing, superfluous or of a wrong shape is said at once, and nothing is written then.`,
		Example: "  model import all-MiniLM-L6-v2 -o models/minilm\n  model import SmolLM2-135M-Instruct.Q4_1.gguf -o models/smollm2\n" +
			"  model import stories260K.bin --tokenizer tok512.bin -o models/stories\n" +
			"  model import hub:sentence-transformers/all-MiniLM-L6-v2 -o models/minilm",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return cli.Usagef("-o is missing: say where the checkpoint is to be written")
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			path, err := local(ctx, args[0])
			if err != nil {
				return err
			}
			source, err := interchange.Open(path, interchange.Options{Tokenizer: tokenizer, Pairs: pairs})
			if err != nil {
				return err
			}
			defer source.Close()
			m, err := source.Model()
			if err != nil {
				return err
			}
			if err := m.Store(dtype, embeddings); err != nil {
				return cli.Usagef("--dtype: %w", err)
			}
			if err := writeImport(os.Stderr, m, out); err != nil {
				return err
			}
			for _, note := range m.Notes {
				fmt.Println(note)
			}
			size, use := fmt.Sprintf("%d tokens, context %d", m.Dims.VocabSize, m.Dims.Context), []string{m.Use, out}
			if side := m.Dims.ImageSize; side > 0 {
				size, use = fmt.Sprintf("%d classes, images of %d x %d pixels", m.Dims.Classes, side, side), append(use, "IMAGE.png")
			}
			fmt.Printf("%s, %s, %s\ncheckpoint  %s\nuse it by:  %s\n", m.Family, m.Network.Body().Layout(), size, out, shell.Command("model", use...))
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder of the new checkpoint")
	c.Flags().StringVar(&dtype, "dtype", "float32", "in what the matrices are held: float32, int8 or int4")
	c.Flags().BoolVar(&embeddings, "embeddings", false, "hold embeddings in the type of --dtype too; in memory they are float32")
	c.Flags().StringVar(&tokenizer, "tokenizer", "", "of a .bin of llama2.c: its tokenizer, as tok512.bin")
	c.Flags().BoolVar(&pairs, "pairs", false, "of a classifier whose config does not say so: its texts come in pairs")
	cli.Threads(c)
	cli.Choices(c, "dtype", "float32", "int8", "int4")
	return c
}

// tensorProgress shows on w how many tensors are done, once a second, if it takes long.
func tensorProgress(w io.Writer, what string) func(done, total int) {
	began, shown := time.Now(), time.Time{}
	return func(done, total int) {
		if now := time.Now(); now.Sub(began) > patience && (now.Sub(shown) > time.Second || done == total) {
			shown = now
			fmt.Fprintf(w, "%-10s  %d of %d tensors\n", what, done, total)
		}
	}
}

// writeImport converts the arrays and writes the checkpoint, with progress on w if it takes long.
func writeImport(w io.Writer, m *interchange.Model, out string) error {
	arrays, err := m.Arrays(tensorProgress(w, "converting"))
	if err != nil {
		return err
	}
	c, err := saved.WithoutData("import", m.Network, m.Dims, m.Task, m.Files)
	if err != nil {
		return err
	}
	c.Arrays = map[string][]checkpoints.Array{"model.npz": arrays}
	return checkpoints.Write(out, c)
}

// hubPrefix marks a source that a hub has.
const hubPrefix = "hub:"

// local is the path of a source: what a hub has is fetched, with progress on standard error.
func local(ctx context.Context, source string) (string, error) {
	name, ok := strings.CutPrefix(source, hubPrefix)
	if !ok {
		return source, nil
	}
	id, err := hub.Parse(name)
	if err != nil {
		return "", err
	}
	h := hub.Environment()
	weights := id.File
	choose := func(names []string) (need []string, err error) {
		if id.File != "" {
			if !slices.Contains(names, id.File) {
				return nil, fmt.Errorf("has no file %s", id.File)
			}
			return []string{id.File}, nil
		}
		need, weights, err = interchange.Needed(names)
		return need, err
	}
	var shown *progress.Progress
	var began time.Time
	var first int64
	dir, err := h.Fetch(ctx, id, choose, func(done, total int64) {
		if shown == nil {
			began, first = time.Now(), done
			fmt.Fprintf(os.Stderr, "fetching %s from %s, %.1f MB\n", id.Repo(), h.Endpoint, float64(total)/1e6)
			shown = progress.New(os.Stderr, int(total), 0)
			shown.Bytes("fetched")
		}
		if now := time.Since(began); now > patience || done == total {
			shown.Step(int(done), 0, float64(done-first)/now.Seconds())
		}
	})
	if shown != nil {
		shown.Close()
	}
	if errors.Is(err, context.Canceled) {
		return "", fmt.Errorf("%w: what has come stays in %s, and the same command goes on from there", shell.ErrInterrupted, h.Cache)
	}
	return filepath.Join(dir, filepath.FromSlash(weights)), err
}
