package saved

import (
	"encoding/json"
	"maps"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/recipe"
)

// ExtensionFile tells of a checkpoint with another vocabulary than its parent where its rows come from.
const ExtensionFile = "extension.json"

// WithoutData is what a checkpoint holds of a network that has no data of its own, as one from elsewhere, but for its arrays. task
// is what it is for; files are those of the task.
func WithoutData(name string, network recipe.Model, dims model.Dims, task string, files map[string][]byte) (checkpoints.Contents, error) {
	cfg := recipe.Default()
	cfg.Name, cfg.Model = name, network
	cfg.Data, cfg.Task = recipe.From(recipe.NoneWithin(dims.Context)), &recipe.Task{Kind: task}
	cfg.Train.BatchSize = 8
	if b, ok := network.Body().(model.Sequence); ok && b.Causal() {
		cfg.Train.BatchSize = 1 // the scores of a window are as large as a model
	}
	config, err := configs.Encode(cfg)
	if err != nil {
		return checkpoints.Contents{}, err
	}
	state, err := json.MarshalIndent(State{}, "", "  ")
	if err != nil {
		return checkpoints.Contents{}, err
	}
	c := checkpoints.Contents{Kind: network.Name, Files: map[string][]byte{"config.toml": config, "state.json": append(state, '\n')}}
	maps.Copy(c.Files, files)
	return c, nil
}
