package train

import (
	"path/filepath"
	"slices"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/saved"
)

// Load is [recipe.Load] of a run, which may take what it does not say from the checkpoint that it starts from: where the file has
// [train] init_from and no [model], the network and [task] are the checkpoint's. So they are where the checkpoint is a model from
// elsewhere and [model] names no kind: its keys then change that network. If the file does not choose a tokenizer either, like is the
// model with whose tokenizer the run reads its data (see [NewFrom]); else it is nil.
func Load(file string, set []string, known ...saved.Options) (cfg recipe.Config, like *saved.Model, err error) {
	o := saved.Known(known...)
	says := configs.Peek(file, set, "train.init_from", "model", "model.kind", "data.tokenizer")
	from, _ := says["train.init_from"].(string)
	_, table := says["model"]
	if _, kind := says["model.kind"]; from != "" && !kind {
		l, err := saved.Describe(from, "", false, o)
		if err == nil && (!table || l.Config.Data.IsNone()) { // what is wrong with the checkpoint the run says
			like = l
		}
	}
	if like == nil {
		cfg, err = recipe.Load(file, set, o.Lists)
		return cfg, nil, err
	}
	load := func(set []string) error {
		cfg = recipe.Default()
		cfg.Model, cfg.Task = like.Config.Model, like.Config.Task
		return configs.Load(file, &cfg, configs.Options{Lists: o.Lists, Set: set, Old: recipe.OldDefaults})
	}
	if err := load(set); err != nil {
		return cfg, nil, err
	}
	if _, own := says["data.tokenizer"]; own {
		return cfg, nil, nil
	}
	if _, reads := cfg.Data.Tokenizer(); reads { // a run that is continued before its first checkpoint finds it there
		err = load(append(slices.Clone(set), "data.tokenizer="+filepath.ToSlash(filepath.Join(like.Dir, "tokenizer.json"))))
	}
	return cfg, like, err
}
