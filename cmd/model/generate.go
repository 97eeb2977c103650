package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/data/tokenizers"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/model/decoder"
	"sparrow/saved"
	"sparrow/task"
)

func generateCommand() *cobra.Command {
	var base, cache, compute string
	var last, stats, asJSON bool
	var stops []string
	var texts prompts
	var steer steering
	opts := decoder.GenerateOptions{}
	c := &cobra.Command{
		Use:   "generate RUN|CHECKPOINT --prompt TEXT",
		Short: "Let a model continue a text, or several",
		Long: `Let a model continue a text, which is written as it comes, or several, which share a batch and are written at the end.

With --afd N attention and FFN are separate stages that work at the same time on N micro-batches of the texts, as the
Step-3 report proposes for serving; the tokens are the same. The stages share --threads: with two, each has one.

The generation_config.json of an imported model says how tokens are chosen, and which end a text; flags come before it.`,
		Example: "  model generate runs/quickstart --prompt \"func \" --tokens 300 --temperature 0.8",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkSampling(opts); err != nil {
				return err
			}
			if cache != "float32" && cache != "int8" {
				return cli.Usagef("--cache-dtype %s; want float32 or int8", cache)
			}
			o, err := computing(compute)
			if err != nil {
				return err
			}
			o.Int8Cache = cache == "int8"
			l, err := saved.OpenOn(args[0], base, last, o)
			if err != nil {
				return err
			}
			writer, writes := l.Task.(task.Generator)
			_, labels := l.Task.(task.Predictor)
			switch {
			case labels && !writes:
				return cli.Usagef("%s holds a classifier, which writes no text; label with it by: %s", l.Dir, shell.Command("model", "predict", args[0]))
			case !writes:
				return cli.Usagef("%s holds a masked language model, which fills gaps and continues no text", l.Dir)
			}
			opts.Sampler = sampling(c, writer, opts.Sampler)
			tokenizer := writer.Tokenizer()
			if err := texts.read(tokenizer); err != nil {
				return err
			}
			if n := len(texts.ids); c.Flags().Changed("afd") && (texts.afd < 1 || texts.afd > n) {
				return cli.Usagef("--afd = %d; want 1 to the number of prompts, %d", texts.afd, n)
			}
			if texts.afd > 0 && (opts.Penalizes() || len(stops) > 0) {
				return cli.Usagef("--afd: separate stages know neither --repetition-penalty nor --stop; leave these out, or give --repetition-penalty 1 for what the model's own config says")
			}
			if err := l.Room(len(texts.ids), texts.longest(), opts.Tokens); err != nil {
				return cli.Usagef("--tokens = %d: %w", opts.Tokens, err)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			added, err := steer.find(ctx, c, l, texts.afd > 0)
			if err != nil {
				return err
			}
			return generate(ctx, l, newWriting(tokenizer, texts, stops, asJSON), opts, added, cache == "int8", stats)
		},
	}
	c.Flags().StringArrayVar(&texts.given, "prompt", nil, "text to continue (repeatable)")
	c.Flags().StringVar(&texts.file, "prompts", "", "file of further texts to continue, one a line")
	c.Flags().IntVar(&texts.afd, "afd", 0, "run attention and FFN as separate stages, with this many micro-batches of texts under way")
	c.Flags().IntVar(&opts.Tokens, "tokens", 200, "tokens to write")
	samplingFlags(c, &opts)
	c.Flags().StringArrayVar(&stops, "stop", nil, "end a text before this `TEXT` (repeatable)")
	steer.flags(c)
	computeFlag(c, &compute)
	c.Flags().StringVar(&cache, "cache-dtype", "float32", "of keys and values: float32 or int8, with a scale for each vector")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each text, with the prompt and what was written")
	c.Flags().BoolVar(&stats, "stats", false, "print tokens/s and what attention costs to standard error")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	c.MarkFlagsOneRequired("prompt", "prompts")
	cli.Threads(c)
	return c
}

// samplingFlags are those of commands that write, which say how tokens are drawn.
func samplingFlags(c *cobra.Command, opts *decoder.GenerateOptions) {
	c.Flags().Float64Var(&opts.Temperature, "temperature", 0.8, "0: always the likeliest token")
	c.Flags().IntVar(&opts.TopK, "top-k", 0, "draw from the K likeliest tokens only (0: all)")
	c.Flags().Float64Var(&opts.TopP, "top-p", 1, "draw from the likeliest tokens that hold this share of probability")
	c.Flags().Float64Var(&opts.MinP, "min-p", 0, "draw from tokens that are at least this share as likely as the likeliest")
	c.Flags().Float64Var(&opts.RepetitionPenalty, "repetition-penalty", 1, "above 1: tokens that the text has are less likely")
	c.Flags().Uint64Var(&opts.Seed, "seed", 1, "of the draws: equal seeds write equal texts")
}

func checkSampling(o decoder.GenerateOptions) error {
	switch {
	case o.Tokens < 1:
		return cli.Usagef("--tokens = %d; want at least 1", o.Tokens)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 1):
		return cli.Usagef("--temperature = %g; want 0 or more, and finite", o.Temperature)
	case o.TopK < 0:
		return cli.Usagef("--top-k = %d; want 0 (all) or more", o.TopK)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return cli.Usagef("--top-p = %g; want 0 to 1", o.TopP)
	case !(o.MinP >= 0 && o.MinP <= 1):
		return cli.Usagef("--min-p = %g; want 0 to 1", o.MinP)
	case !(o.RepetitionPenalty > 0) || math.IsInf(o.RepetitionPenalty, 1):
		return cli.Usagef("--repetition-penalty = %g; want more than 0, and finite", o.RepetitionPenalty)
	}
	return nil
}

// sampling is how tokens are chosen: as flags say, else as the model's makers want it, else by the flags' defaults.
func sampling(c *cobra.Command, writer task.Generator, flags model.Sampler) model.Sampler {
	s := writer.Sampling(flags)
	for name, take := range map[string]func(){
		"temperature": func() { s.Temperature = flags.Temperature }, "top-k": func() { s.TopK = flags.TopK }, "top-p": func() { s.TopP = flags.TopP },
		"min-p": func() { s.MinP = flags.MinP }, "repetition-penalty": func() { s.RepetitionPenalty = flags.RepetitionPenalty },
	} {
		if c.Flags().Changed(name) {
			take()
		}
	}
	return s
}

// generate writes the texts to standard output: one as it comes, several when they are complete.
func generate(ctx context.Context, l *saved.Model, w *writing, opts decoder.GenerateOptions, steer []decode.Addition, int8s, stats bool) error {
	texts := w.texts
	ends := l.Task.(task.Generator).Ends()
	if len(ends) > 0 {
		opts.Stop = func(token int) bool { return slices.Contains(ends, token) }
	}
	var err error
	var stages decoder.AFDStats
	if texts.afd > 0 {
		stages, err = afd(ctx, l, texts, opts, int8s, w.emit)
	} else {
		r := decode.Request{Tokens: opts.Tokens, Sampler: opts.Sampler, Steer: steer}
		if opts.Stop != nil {
			r.Stop = decode.StopAt(ends...)
		}
		err = decode.Generate(ctx, l.Session, texts.ids, r, w.emit)
	}
	w.finish()
	if ctx.Err() != nil {
		return fmt.Errorf("%w: stopped after %d tokens", shell.ErrInterrupted, w.tokens)
	}
	if err == nil && stats {
		w.stats(os.Stderr, l, stages, int8s)
	}
	return err
}

// writing is texts under way.
type writing struct {
	texts   prompts
	streams []*tokenizers.Stream
	untils  []*tokenizers.Until
	written []strings.Builder // of several texts; a text alone is printed as it comes
	tokens  int               // new ones of all texts
	counts  []int             // of each
	asJSON  bool

	began, first, end time.Time // first: when every text had one token
}

func newWriting(tokenizer tokenizers.Tokenizer, texts prompts, stops []string, asJSON bool) *writing {
	w := &writing{texts: texts, asJSON: asJSON, counts: make([]int, len(texts.ids)), written: make([]strings.Builder, len(texts.ids))}
	for range texts.ids {
		w.streams, w.untils = append(w.streams, tokenizers.NewStream(tokenizer)), append(w.untils, tokenizers.NewUntil(stops...))
	}
	if w.alone() {
		fmt.Print(texts.texts[0])
	}
	w.began = time.Now()
	return w
}

func (w *writing) alone() bool { return len(w.streams) == 1 && !w.asJSON }

// emit takes a token of text i.
func (w *writing) emit(i, token int) error {
	if w.tokens++; w.tokens <= len(w.streams) {
		w.first = time.Now()
	}
	w.counts[i]++
	piece, stopped := w.untils[i].Push(w.streams[i].Push(token))
	if w.alone() {
		if _, err := fmt.Print(piece); err != nil {
			return err
		}
	} else {
		w.written[i].WriteString(piece)
	}
	if stopped {
		w.untils[i] = nil
		return decode.ErrDone
	}
	return nil
}

// finish prints what has not been.
func (w *writing) finish() {
	if w.end = time.Now(); w.tokens == 0 {
		w.first = w.end
	}
	for i, s := range w.streams {
		if w.asJSON {
			w.printJSON(i)
			continue
		}
		if !w.alone() {
			fmt.Printf("==> %d <==\n%s%s", i+1, w.texts.texts[i], w.written[i].String())
		}
		if w.untils[i] != nil {
			rest, _ := w.untils[i].Push(s.Flush())
			fmt.Print(rest + w.untils[i].Flush())
		}
		fmt.Println()
	}
}

// printJSON prints text i.
func (w *writing) printJSON(i int) {
	text := w.written[i].String()
	if w.untils[i] != nil {
		rest, _ := w.untils[i].Push(w.streams[i].Flush())
		text += rest + w.untils[i].Flush()
	}
	_ = json.NewEncoder(os.Stdout).Encode(struct { // as the rest is printed
		Prompt  string  `json:"prompt"`
		Text    string  `json:"text"`
		Tokens  int     `json:"tokens"`
		Seconds float64 `json:"seconds"` // that all texts took together
	}{w.texts.texts[i], text, w.counts[i], w.end.Sub(w.began).Seconds()})
}

// stats prints speeds, and what attention and weights take.
func (w *writing) stats(out io.Writer, l *saved.Model, stages decoder.AFDStats, int8s bool) {
	fmt.Fprintf(out, "prompt      %d tokens, %.1f ms to the first new one\n", w.texts.tokens(), float64(w.first.Sub(w.began).Microseconds())/1e3)
	if more := w.tokens - len(w.streams); more > 0 {
		fmt.Fprintf(out, "decoding    %d tokens, %.1f tokens/s\n", more, float64(more)/w.end.Sub(w.first).Seconds())
	}
	if w.texts.afd > 0 {
		busy := func(t time.Duration) float64 { return 100 * t.Seconds() / stages.Wall.Seconds() }
		fmt.Fprintf(out, "stages      attention %.0f%% busy, ffn %.0f%% busy, %d micro-batches\n", busy(stages.Attention), busy(stages.FFN), w.texts.afd)
	}
	all := w.texts.tokens() + w.tokens
	cost := l.Config.Model.Body().(decoder.Config).AttentionCost(int8s)
	fmt.Fprintf(out, "%s, %d bytes for %d tokens\n", cost, cost.CacheBytesTotal*all, all)
	fmt.Fprintf(out, "weights     %d bytes\n", l.Session.Store().Bytes())
}

// afd generates with attention and FFN in stages of their own.
func afd(ctx context.Context, l *saved.Model, texts prompts, opts decoder.GenerateOptions, int8s bool, emit func(seq, token int) error) (decoder.AFDStats, error) {
	o := l.Config.Model.Represented(model.Options{Int8Cache: int8s})
	text := model.Text{Vocab: l.Dims.VocabSize, Length: l.Dims.Context}
	return l.Config.Model.Body().(decoder.Config).GenerateAFD(ctx, text, l.Session.Store(), o, texts.ids, opts, texts.afd, emit)
}
