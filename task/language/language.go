package language

import (
	"context"
	"fmt"
	"math"
	"strings"

	"sparrow/data"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/corpus"
)

// Task is the task of a language model: each token of a text from those before it.
type Task struct{ corpus.Corpus }

// Fits says why a config is not for a language model: it wants text without labels and a network whose states depend on what came
// before.
func Fits(c recipe.Config) error {
	body, err := task.Fit[model.Sequence, text.Source](c, "text without labels")
	switch {
	case err != nil:
		return err
	case !body.Causal():
		return &task.Misfit{Key: task.NetworkKey, Value: c.Model.Name, Message: "sees what follows a token"}
	}
	return task.Offer{Writes: true, Metrics: corpus.Measured}.Check(c)
}

// Open opens the task of a config, with what a checkpoint keeps of its data if files is not nil.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	c, err := corpus.Open(cfg, files)
	return &Task{c}, err
}

// Tokenizer implements Generator.
func (l *Task) Tokenizer() tokenizers.Tokenizer { return l.Tokens }

// Ends implements Generator: what generation_config.json says, else the tokenizer's separator.
func (l *Task) Ends() []int {
	if ends := l.Generation().Ends; len(ends) > 0 {
		return ends
	}
	if end := l.Tokens.Separator(); end != tokenizers.NoSeparator {
		return []int{end}
	}
	return nil
}

// Sampling implements Generator: what generation_config.json says.
func (l *Task) Sampling(otherwise model.Sampler) model.Sampler {
	return l.Generation().Sampling(otherwise)
}

// Share implements Sharer.
func (l *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok {
		l.TakeOver(&o.Corpus)
	}
}

// Batches implements task.Stepped.
func (l *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	return l.Stream(ctx, s, f, func(p *model.Program, w *corpus.Windows) int {
		p.Feed(map[string][]int{"tokens": w.Inputs, "targets": w.Targets})
		count := 0
		for _, target := range w.Targets {
			if target != data.IgnoredTarget {
				count++
			}
		}
		return count
	})
}

// Evaluate implements task.Task.
func (l *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	batches, err := l.Batches(ctx, s, l.Feed(m))
	if err != nil {
		return task.Score{}, err
	}
	loss, n, err := task.Evaluate(ctx, batches, "validation text", m, nil)
	if n == 0 {
		return task.Score{}, err
	}
	return task.NewScore(l, "tokens", n, loss, math.Exp(loss)), err
}

// Suggest implements Suggester: a prompt that the model can continue, and what it writes after that of the config.
func (l *Task) Suggest(ctx context.Context, s *model.Session) (x task.Suggestion, err error) {
	if x.Sample, err = l.sample(ctx, s); err != nil && ctx.Err() == nil {
		return x, err
	}
	if prompt, tokens := l.suggest(); tokens > 0 {
		x.Command, x.Args = "generate", []string{"--prompt", prompt, "--tokens", fmt.Sprint(tokens)}
	}
	return x, nil
}

// sample lets the trained model continue the configured prompt.
func (l *Task) sample(ctx context.Context, s *model.Session) (string, error) {
	c := l.Config.Sample
	if c.Prompt == "" || ctx.Err() != nil {
		return "", nil
	}
	prompt, err := l.Tokens.Encode(c.Prompt)
	if err != nil {
		return "", err
	}
	ids := prompt
	r := decode.Request{
		Tokens:  l.Config.Room(len(prompt), c.Tokens),
		Sampler: model.Sampler{Temperature: c.Temperature, TopP: c.TopP, Seed: l.Config.Seed},
		Stop:    decode.StopAt(l.Ends()...),
	}
	err = decode.Generate(ctx, s, [][]int{prompt}, r, func(_, token int) error {
		ids = append(ids, token)
		return nil
	})
	return l.Tokens.Decode(ids), err
}

// suggest returns a prompt to try, the configured one or the first word of the
// validation text, and how many tokens may follow it.
func (l *Task) suggest() (prompt string, tokens int) {
	const most, head = 300, 32
	prompt = l.Config.Sample.Prompt
	if prompt == "" {
		ids := make([]int, min(head, l.Text.Validation.Len()))
		l.Text.Validation.Copy(ids, 0)
		prompt = "a"
		if words := strings.Fields(strings.ToValidUTF8(l.Tokens.Decode(ids), " ")); len(words) > 0 {
			prompt = words[0]
		}
	}
	ids, err := l.Tokens.Encode(prompt)
	if err != nil || l.Config.Room(len(ids), most) < 1 {
		return "", 0
	}
	return prompt, l.Config.Room(len(ids), most)
}

// Check implements Checker. It refuses a sample that would fail at the end: a prompt that cannot be read, and a text for
// which there is no room. A tokenizer that is still to be made from the text tells nothing yet.
func (l *Task) Check() error {
	c := l.Config
	if c.Sample.Prompt == "" || l.Tokens == nil {
		return nil
	}
	ids, err := l.Tokens.Encode(c.Sample.Prompt)
	if err != nil {
		return fmt.Errorf("[sample] prompt = %q: %w", c.Sample.Prompt, err)
	}
	if n := c.Longest(); n > 0 && len(ids) >= n {
		return fmt.Errorf("[sample] prompt = %q is %d tokens long; learned positions end at %d: want a shorter one", c.Sample.Prompt, len(ids), n)
	}
	body, ok := c.Model.Of.(model.Cached)
	if !ok {
		return nil
	}
	if err := machine.CacheFits(float64(len(ids))+float64(c.Room(len(ids), c.Sample.Tokens)), body.CacheBytes(false)); err != nil {
		return fmt.Errorf("[sample] tokens = %d: %w", c.Sample.Tokens, err)
	}
	return nil
}
