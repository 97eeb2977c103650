// Package recipe is one TOML file: one run. It holds the tables [data], [model], [train], [eval], [checkpoint] and [sample], the
// lists of what they choose from, and what can be said of a run from its config alone. It knows no task and nothing of training.
//
//	cfg, err := recipe.Load("configs/tiny.toml", []string{"train.steps=20"})
//	survey, err := recipe.Look(ctx, cfg.Data) // files, bytes, vocabulary: before anything is read
package recipe
