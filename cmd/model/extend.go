package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/extend"
	"sparrow/factor"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// extendFlags are those of model extend.
type extendFlags struct {
	out, tokenizer, vectors, text string
	columns                       []string
	last                          bool
	settings                      extend.Settings
}

func extendCommand() *cobra.Command {
	f := extendFlags{settings: extend.DefaultSettings()}
	c := &cobra.Command{
		Use:   "extend RUN|CHECKPOINT --tokenizer NEW --vectors FILE|corpus:GLOB|parallel:FILE -o CHECKPOINT",
		Short: "Give a model another vocabulary, whose new tokens start from similar old ones",
		Long: `Give a model another vocabulary. Rows of tokens that both vocabularies have are copied; others start as mixtures of old rows
whose words mean much the same (OFA, Liu et al. 2024), by word vectors in one space: a file of word2vec, fastText or GloVe, or
vectors made here of your own text. corpus: text in both languages, whose words count together within a window of a line.
parallel: a table of two columns that are translations of each other, whose words count together: the better start.

What has no vector starts at random. The result has no data of its own: train it further with init_from.`,
		Example: "  model extend models/smollm2 --tokenizer train:bpe:32000 --vectors parallel:en-de.tsv --columns english,german -o models/german\n" +
			"  model extend models/minilm --tokenizer new/tokenizer.json --vectors aligned.vec -o models/wide",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			err := f.run(ctx, args[0])
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w: nothing is written", shell.ErrInterrupted)
			}
			return err
		},
	}
	c.Flags().StringVarP(&f.out, "output", "o", "", "folder of the new checkpoint")
	c.Flags().StringVar(&f.tokenizer, "tokenizer", "", "new vocabulary: a tokenizer.json, a BERT vocab.txt, a folder with either, or train:bpe:SIZE, train:wordpiece:SIZE or train:unigram:SIZE, made of the text")
	c.Flags().StringVar(&f.vectors, "vectors", "", "word vectors: a FILE of word2vec, fastText or GloVe, corpus:GLOB or parallel:FILE to make them of text")
	c.Flags().StringSliceVar(&f.columns, "columns", nil, "of parallel: names of the two columns; without, the table has two and no header")
	c.Flags().StringVar(&f.text, "text", "", "files of text that a new tokenizer is made of and by which tokens are weighed, as a pattern; without, that of --vectors")
	c.Flags().StringVar(&f.settings.Start, "init", f.settings.Start, "how new rows start: "+strings.Join(extend.Starts(), ", "))
	c.Flags().IntVar(&f.settings.Rank, "rank", 0, "keep the embedding in two factors of this rank; 0: as one table")
	c.Flags().IntVar(&f.settings.Neighbours, "neighbours", f.settings.Neighbours, "old tokens that a new one is mixed of")
	c.Flags().Float64Var(&f.settings.Temperature, "temperature", f.settings.Temperature, "of their weights, softmax(cosine / temperature)")
	c.Flags().Uint64Var(&f.settings.Seed, "seed", 0, "of random rows and of vectors made of text")
	c.Flags().BoolVar(&f.last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.MarkFlagRequired("output")
	c.MarkFlagRequired("tokenizer")
	cli.Threads(c)
	return c
}

func (f *extendFlags) run(ctx context.Context, from string) error {
	if _, err := os.Lstat(f.out); err == nil {
		return cli.Usagef("-o %s exists already: choose a new folder", f.out)
	} else if !errors.Is(err, os.ErrNotExist) {
		return cli.Usagef("-o: %w", err)
	}
	corpus, err := f.corpus()
	if err != nil {
		return err
	}
	text := corpus
	if f.text != "" {
		if text, err = extend.ReadLines(f.text); err != nil {
			return err
		}
	}
	l, err := saved.Open(from, f.last, model.Options{})
	if err != nil {
		return err
	}
	if f.settings.Tokenizer, err = f.newTokenizer(ctx, text, l); err != nil {
		return err
	}
	f.settings.Told = stageProgress
	if text != nil {
		f.settings.Text = text.Texts
	}
	switch {
	case corpus != nil && f.settings.Start == "ofa":
		embed := extend.DefaultEmbed()
		embed.Seed = f.settings.Seed
		made, err := corpus.Embed(ctx, embed, stageProgress("vectors"))
		if err != nil {
			return err
		}
		f.settings.Words = made
	case f.vectors != "" && corpus == nil:
		read := stageProgress("reading")
		f.settings.Words = extend.File{Path: f.vectors, Read: func(done, total int64) { read(int(done), int(total)) }}
	}
	x, err := extend.Run(ctx, l, f.settings)
	if err != nil {
		return err
	}
	if err := x.Write(f.out); err != nil {
		return err
	}
	fmt.Printf("extended    %s\n%scheckpoint  %s\n\nnext:\n  %s\n", l.Dir, x.Report, f.out, shell.Command("model", "eval", f.out, "--file", "TEXT"))
	return nil
}

// corpus is the text of --vectors; nil: they are in a file, or there are none.
func (f *extendFlags) corpus() (*extend.Corpus, error) {
	if glob, ok := strings.CutPrefix(f.vectors, "corpus:"); ok {
		return extend.ReadLines(glob)
	}
	path, ok := strings.CutPrefix(f.vectors, "parallel:")
	switch {
	case !ok && len(f.columns) > 0:
		return nil, cli.Usagef("--columns are of --vectors parallel:FILE")
	case !ok:
		return nil, nil
	case len(f.columns) != 0 && len(f.columns) != 2:
		return nil, cli.Usagef("--columns has %d names; want the two columns that are translations of each other", len(f.columns))
	}
	return extend.ReadPairs(path, f.columns)
}

// newTokenizer reads the new vocabulary, or makes it of text; one that is made keeps the special tokens of the old one.
func (f *extendFlags) newTokenizer(ctx context.Context, text *extend.Corpus, l *saved.Model) (tokenizers.Tokenizer, error) {
	cfg := tokenizers.DefaultConfig()
	kindAndSize, ok := strings.CutPrefix(f.tokenizer, "train:")
	if !ok {
		cfg.Tokenizer = f.tokenizer
		if info, err := os.Stat(f.tokenizer); err == nil && info.IsDir() {
			cfg.Tokenizer = filepath.Join(f.tokenizer, "tokenizer.json")
			if _, err := os.Stat(cfg.Tokenizer); err != nil {
				cfg.Tokenizer = filepath.Join(f.tokenizer, "vocab.txt")
			}
		}
		if ext := filepath.Ext(cfg.Tokenizer); ext != ".json" && ext != ".txt" {
			return nil, cli.Usagef("--tokenizer %s: want a tokenizer.json, a BERT vocab.txt, a folder with either, or train:KIND:SIZE", f.tokenizer)
		}
		return tokenizers.New(ctx, cfg, nil)
	}
	kind, size, _ := strings.Cut(kindAndSize, ":")
	n, err := strconv.Atoi(size)
	if kinds := tokenizers.Trained(); err != nil || !slices.Contains(kinds, kind) {
		return nil, cli.Usagef("--tokenizer %s: want train:KIND:SIZE with a kind of %s and a number of tokens", f.tokenizer, strings.Join(kinds, ", "))
	}
	if text == nil {
		return nil, cli.Usagef("--tokenizer %s is made of text: give some by --text GLOB", f.tokenizer)
	}
	if low, high := tokenizers.Sizes(kind); n < low || n > high {
		return nil, cli.Usagef("--tokenizer %s: %d tokens are out of range; want %d to %d", f.tokenizer, n, low, high)
	}
	var documents data.Documents
	text.Texts(func(t string) { documents.Add([]byte(t), "", 0) })
	cfg.Tokenizer, cfg.VocabSize = kind, n
	before, err := task.ReadTokenizer(l.Files)
	if err != nil {
		return nil, err
	}
	made, err := tokenizers.New(ctx, cfg, &documents)
	if err != nil {
		return nil, err
	}
	var specials []string
	for _, p := range tokenizers.Pieces(before) {
		if p.Special {
			specials = append(specials, p.Text)
		}
	}
	return tokenizers.WithSpecials(made, specials)
}

// stageProgress shows how far a stage is, if it takes long.
func stageProgress(stage string) factor.Progress {
	began := time.Now()
	var shown *progress.Progress
	return func(done, total int) {
		if shown == nil && time.Since(began) < patience {
			return
		}
		if shown == nil {
			fmt.Fprintf(os.Stderr, "%s\n", stage)
			shown = progress.New(os.Stderr, total, done-1)
			shown.Plain()
		}
		if shown.Step(done, math.NaN(), 0); done == total {
			shown.Close()
		}
	}
}
