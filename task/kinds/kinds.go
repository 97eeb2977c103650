package kinds

import (
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/language"
	"sparrow/task/masked"
	"sparrow/task/texts"
	"sparrow/task/vision"
)

// Open opens the task of a config, with what a checkpoint keeps of its data if files is not nil. It reads no data.
func Open(cfg recipe.Config, files task.Files) (task.Task, error) {
	if cfg.Data.IsImages() {
		return vision.Open(cfg, files)
	}
	if cfg.Data.IsLabelled() {
		return texts.Open(cfg, files)
	}
	if cfg.Masked() {
		return masked.Open(cfg, files)
	}
	return language.Open(cfg, files)
}
