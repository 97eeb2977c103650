package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Starters are the networks and the sources of data that [Starter] knows.
func Starters(known ...saved.Options) (networks, sources []string) {
	return recipe.Names(saved.Known(known...).Lists)
}

// Starter is a commented config to begin with, of a network or of a source of data. other is a source for the network or a network for
// the source; "": the first that fits.
func Starter(kind, other string, known ...saved.Options) ([]byte, error) {
	o := saved.Known(known...)
	networks, sources := Starters(o)
	first, second := networks, sources // those of kind and of other
	if !slices.Contains(first, kind) {
		first, second = sources, networks
	}
	if !slices.Contains(first, kind) {
		return nil, fmt.Errorf("%w: no config begins with %q; want a network, one of %s, or a source of data, one of %s", task.ErrUsage, kind,
			strings.Join(networks, ", "), strings.Join(sources, ", "))
	}
	if other != "" {
		if !slices.Contains(second, other) {
			return nil, fmt.Errorf("%w: %q does not go with %q; want one of %s", task.ErrUsage, other, kind, strings.Join(second, ", "))
		}
		second = []string{other}
	}
	var wrong error
	for _, name := range second {
		network, source := kind, name
		if slices.Contains(sources, kind) {
			network, source = name, kind
		}
		text, err := starter(network, source, o)
		if err == nil {
			return text, nil
		}
		if wrong == nil {
			wrong = fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
	}
	return nil, wrong
}

// starter is a config of that network on that source.
func starter(network, source string, o saved.Options) ([]byte, error) {
	set := []string{"name=" + network + "-" + source, "model.kind=" + network, "data.source=" + source, "train.warmup_steps=100", "eval.every=250", "checkpoint.every=250"}
	cfg, err := decodeStart(set, o, false)
	if err != nil && cfg.Model.Of == nil {
		return nil, err
	}
	for _, kind := range []any{cfg.Data.Of, cfg.Model.Of} {
		if x, ok := kind.(configs.Starter); ok {
			set = append(set, x.Start()...)
		}
	}
	cfg, err = decodeStart(set, o, true)
	// What a network begins with, a source may lack: the tokenizer of images.
	for i := len(set) - 1; err != nil && i > 2; i-- {
		shorter := slices.Delete(slices.Clone(set), i, i+1)
		if less, wrong := decodeStart(shorter, o, true); problems(wrong) < problems(err) {
			set, cfg, err = shorter, less, wrong
		}
	}
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, s := range set {
		key, _, _ := strings.Cut(s, "=")
		live[key] = true
	}
	text, err := configs.Outline(cfg, live)
	if err != nil {
		return nil, err
	}
	return append([]byte(fmt.Sprintf(starterHead, network, source)), text...), nil
}

const starterHead = `# A network of kind %s on source = %q. Lines that begin with # are defaults: take the # away to change them. All keys of a kind, with their
# meaning, are told by: train keys KIND

`

// decodeStart is the config that overrides make of the defaults. fits wants one that a task fits.
func decodeStart(set []string, known saved.Options, fits bool) (cfg recipe.Config, err error) {
	cfg = recipe.Default()
	o := configs.Options{Lists: known.Lists, Set: set}
	if fits {
		o.Check = known.Check(&cfg)
	}
	err = configs.Decode("start", nil, &cfg, o)
	return cfg, err
}

func problems(err error) int {
	var all configs.Problems
	errors.As(err, &all)
	return len(all)
}
