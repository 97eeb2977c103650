package train

import (
	"fmt"
	"path/filepath"
	"slices"

	"sparrow/configs"
	"sparrow/internal/shell"
	"sparrow/recipe"
	"sparrow/saved"
)

// Load is [recipe.Load] of a run, which may take what it does not say from the checkpoint that it starts from: where the file has
// [train] init_from and no [model], the network and [task] are the checkpoint's. So they are where the checkpoint is a model from
// elsewhere and [model] names no kind: its keys then change that network. If the file does not choose a tokenizer either, like is the
// model with whose tokenizer the run reads its data (see [NewFrom]); else it is nil. A checkpoint from elsewhere gives its tokenizer
// to a [model] of its own kind too, and wants a [data] with a source.
func Load(file string, set []string, known ...saved.Options) (cfg recipe.Config, like *saved.Model, err error) {
	o := saved.Known(known...)
	if says := configs.Peek(file, nil, "compress", "model", "train"); says["compress"] != nil && says["model"] == nil && says["train"] == nil {
		return cfg, nil, configs.Problems{{File: file, Message: "is the config of a compression: use it by: " + shell.Command("compress", "run", "-c", file)}}
	}
	says := configs.Peek(file, set, "train.init_from", "model", "model.kind", "data.tokenizer", "data.source")
	from, _ := says["train.init_from"].(string)
	_, table := says["model"]
	_, kind := says["model.kind"]
	_, source := says["data.source"]
	_, own := says["data.tokenizer"]
	if from != "" {
		l, err := saved.Describe(from, "", false, o)
		foreign := err == nil && l.Config.Data.IsNone()
		if foreign && !source {
			return cfg, nil, configs.Problems{{File: file, Message: fmt.Sprintf(noData, from)}}
		}
		if err == nil && !kind && (!table || foreign) { // what is wrong with the checkpoint the run says
			like = l
		}
		if foreign && kind && !own {
			if cfg, err = read(file, set, recipe.Default(), o); err != nil {
				return cfg, nil, err
			}
			if _, reads := cfg.Data.Tokenizer(); reads {
				set = append(slices.Clone(set), tokenizerOf(l))
			}
		}
	}
	if like == nil {
		cfg, err = read(file, set, recipe.Default(), o)
		return cfg, nil, err
	}
	defaults := recipe.Default()
	defaults.Model, defaults.Task = like.Config.Model, like.Config.Task
	if cfg, err = read(file, set, defaults, o); err != nil {
		return cfg, nil, err
	}
	if own {
		return cfg, nil, nil
	}
	if _, reads := cfg.Data.Tokenizer(); reads { // a run that is continued before its first checkpoint finds it there
		cfg, err = read(file, append(slices.Clone(set), tokenizerOf(like)), defaults, o)
	}
	return cfg, like, err
}

// read reads a config over its defaults, and refuses one that no task fits.
func read(file string, set []string, cfg recipe.Config, o saved.Options) (recipe.Config, error) {
	err := configs.Load(file, &cfg, configs.Options{Lists: o.Lists, Set: set, Old: recipe.OldDefaults, Check: o.Check(&cfg)})
	return cfg, err
}

// noData is the message about a run that starts from a model from elsewhere and says nothing of its data.
const noData = `[data] source is missing: the model of init_from = %q comes from elsewhere and has no data of its own; add a table [data] with source = "text" and paths for a language model, source = "table" with train, text_columns and label_column for labels or scores, or source = "image_folder" with root for images`

// tokenizerOf is the override that chooses the tokenizer of a model.
func tokenizerOf(l *saved.Model) string {
	return "data.tokenizer=" + filepath.ToSlash(filepath.Join(l.Dir, "tokenizer.json"))
}
