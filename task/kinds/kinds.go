package kinds

import (
	"fmt"
	"strings"

	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/language"
	"sparrow/task/masked"
	"sparrow/task/sentence"
	"sparrow/task/texts"
	"sparrow/task/vision"
)

// Kind is a row of the list: a task, and what it is opened by.
type Kind struct {
	Name string                                             // in [task] kind
	Fits func(recipe.Config) error                          // says why data and network are not for it; nil: they are
	Open func(recipe.Config, task.Files) (task.Task, error) // reads no data; files are a checkpoint's, nil: a new run
}

// All are the tasks that come with the program.
func All() []Kind {
	return []Kind{
		{"language", language.Fits, opened(language.Open)},
		{"masked", masked.Fits, opened(masked.Open)},
		{"sentence", sentence.Fits, opened(sentence.Open)},
		{"texts", texts.Fits, opened(texts.Open)},
		{"vision", vision.Fits, opened(vision.Open)},
	}
}

// opened is open as a row has it.
func opened[T task.Task](open func(recipe.Config, task.Files) (T, error)) func(recipe.Config, task.Files) (task.Task, error) {
	return func(cfg recipe.Config, files task.Files) (task.Task, error) { return open(cfg, files) }
}

// Open opens the task that a config names, or the one of all that fits it, with what a checkpoint keeps of its data if files is
// not nil. It reads no data. A config that none fits or two fit is an error that matches task.ErrUsage.
func Open(all []Kind, cfg recipe.Config, files task.Files) (task.Task, error) {
	var fit []Kind
	var names, why []string
	named := cfg.TaskKind()
	for _, k := range all {
		names = append(names, fmt.Sprintf("%q", k.Name))
		if named != "" && named != k.Name {
			continue
		}
		if err := k.Fits(cfg); err != nil {
			why = append(why, fmt.Sprintf("%s: %v", k.Name, err))
			continue
		}
		fit = append(fit, k)
	}
	switch {
	case len(fit) == 1:
		return fit[0].Open(cfg, files)
	case len(fit) > 1:
		return nil, task.Refusef("[task] kind: both %q and %q fit data and network; say which", fit[0].Name, fit[1].Name)
	case len(why) == 0:
		return nil, task.Refusef("[task] kind = %q is unknown; want one of %s", named, strings.Join(names, ", "))
	}
	return nil, task.Refusef("[task] no kind fits data and network: %s", strings.Join(why, "; "))
}
