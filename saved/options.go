package saved

import (
	"path/filepath"
	"reflect"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/kinds"
)

// Options are the kinds that a program knows: what the tables of configs may choose, and the tasks. The zero value means
// those that come with the program.
type Options struct {
	Lists configs.Lists // the zero value: recipe.Lists()
	Tasks []kinds.Kind  // nil: kinds.All()
}

// Known is one of all options: what a later one leaves out an earlier one says, and at last the program's own lists.
func Known(all ...Options) Options {
	o := Options{Lists: recipe.Lists(), Tasks: kinds.All()}
	for _, x := range all {
		if !reflect.ValueOf(x.Lists).IsZero() {
			o.Lists = x.Lists
		}
		if x.Tasks != nil {
			o.Tasks = x.Tasks
		}
	}
	return o
}

// Task opens the task of a config, with what a checkpoint keeps of its data if files is not nil.
func (o Options) Task(cfg recipe.Config, files task.Files) (task.Task, error) {
	return kinds.Open(Known(o).Tasks, cfg, files)
}

// TaskName is the name of a config's task.
func (o Options) TaskName(cfg recipe.Config) (string, error) { return kinds.Name(Known(o).Tasks, cfg) }

// Check is for configs.Options: it reports by its key why none of the tasks is cfg's.
func (o Options) Check(cfg *recipe.Config) func(*configs.Report) {
	return func(r *configs.Report) { kinds.Check(Known(o).Tasks, *cfg, r) }
}

// Config reads a checkpoint's config.
func (o Options) Config(c *checkpoints.Checkpoint) (recipe.Config, error) {
	cfg := recipe.Default()
	text, err := c.File("config.toml")
	if err != nil {
		return cfg, err
	}
	return cfg, configs.Decode(filepath.Join(c.Dir(), "config.toml"), text, &cfg, configs.Options{Lists: Known(o).Lists, Old: recipe.OldDefaults})
}
