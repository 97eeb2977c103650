// Package recipe says what the tables of a run's TOML file are made of: the list of sources and the [data] table that chooses
// among them. It knows the configs of the packages below and nothing of training.
//
//	cfg := recipe.DefaultData()
//	err := configs.Decode("run.toml", text, nil, &cfg)
//	survey, err := recipe.Look(ctx, cfg) // files, bytes, vocabulary: before anything is read
package recipe
