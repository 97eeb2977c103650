package kinds

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/denoise"
	"sparrow/task/discovery"
	"sparrow/task/language"
	"sparrow/task/masked"
	"sparrow/task/pairs"
	"sparrow/task/ranking"
	"sparrow/task/sentence"
	"sparrow/task/texts"
	"sparrow/task/vision"
)

// Kind is a row of the list: a task, and what it is opened by.
type Kind struct {
	Name  string                                             // in [task] kind
	Named bool                                               // only [task] kind chooses it: data and network are those of another task
	Fits  func(recipe.Config) error                          // says why data and network are not for it; nil: they are
	Open  func(recipe.Config, task.Files) (task.Task, error) // reads no data; files are a checkpoint's, nil: a new run
}

// All are the tasks that come with the program.
func All() []Kind {
	return []Kind{
		{Name: "language", Fits: language.Fits, Open: opened(language.Open)},
		{Name: "masked", Fits: masked.Fits, Open: opened(masked.Open)},
		{Name: "sentence", Fits: sentence.Fits, Open: opened(sentence.Open)},
		{Name: "texts", Fits: texts.Fits, Open: opened(texts.Open)},
		{Name: "denoise", Fits: denoise.Fits, Open: opened(denoise.Open)},
		{Name: "vision", Fits: vision.Fits, Open: opened(vision.Open)},
		{Name: "discover", Named: true, Fits: discovery.Fits(vision.Fits, discovery.FitsFeatures(sentence.Fits), texts.Fits), Open: openDiscovery},
		{Name: "pairs", Fits: pairs.Fits, Open: opened(pairs.Open)},
		{Name: "ranking", Fits: ranking.Fits, Open: opened(ranking.Open)},
	}
}

// opened is open as a row has it.
func opened[T task.Task](open func(recipe.Config, task.Files) (T, error)) func(recipe.Config, task.Files) (task.Task, error) {
	return func(cfg recipe.Config, files task.Files) (task.Task, error) { return open(cfg, files) }
}

// openDiscovery opens the task of classes without labels around the one that labels such data.
func openDiscovery(cfg recipe.Config, files task.Files) (task.Task, error) {
	if discovery.FitsFeatures(sentence.Fits)(cfg) == nil {
		inner, err := sentence.Open(cfg, files)
		if err != nil {
			return nil, err
		}
		return discovery.OpenFeatures(inner, files)
	}
	var inner discovery.Inner
	var err error
	if vision.Fits(cfg) == nil {
		inner, err = vision.Open(cfg, files)
	} else {
		inner, err = texts.Open(cfg, files)
	}
	if err != nil {
		return nil, err
	}
	return discovery.Open(inner, files)
}

// Open opens the task that a config names, or the one of all that fits it, with what a checkpoint keeps of its data if files is
// not nil. It reads no data. A config that none fits or two fit is an error that matches task.ErrUsage.
func Open(all []Kind, cfg recipe.Config, files task.Files) (task.Task, error) {
	k, err := choose(all, cfg)
	if err != nil {
		return nil, task.Refusef("%w", err)
	}
	return k.Open(cfg, files)
}

// Name is that of the task that Open would open.
func Name(all []Kind, cfg recipe.Config) (string, error) {
	k, err := choose(all, cfg)
	if err != nil {
		return "", task.Refusef("%w", err)
	}
	return k.Name, nil
}

// Check reports by its key what Open would say of a config that none fits.
func Check(all []Kind, cfg recipe.Config, r *configs.Report) {
	_, err := choose(all, cfg)
	if m, ok := err.(*task.Misfit); ok {
		r.Errorf(m.Key, "%s", m.Message)
	}
}

// choose finds the task that a config names, or the one of all that fits it. Where none does, what speaks against the nearest
// is a *task.Misfit.
func choose(all []Kind, cfg recipe.Config) (k Kind, err error) {
	var fit []Kind
	var names, why []string
	var against []*task.Misfit
	named := cfg.TaskKind()
	for _, k := range all {
		names = append(names, fmt.Sprintf("%q", k.Name))
		if named != k.Name && (named != "" || k.Named) {
			continue
		}
		err := k.Fits(cfg)
		if err == nil {
			fit = append(fit, k)
			continue
		}
		why = append(why, fmt.Sprintf("%s: %v", k.Name, err))
		if m, ok := err.(*task.Misfit); ok {
			against = append(against, m)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return k, fmt.Errorf("[task] kind: both %q and %q fit data and network; say which", fit[0].Name, fit[1].Name)
	case len(why) == 0:
		return k, fmt.Errorf("[task] kind = %q is unknown; want one of %s", named, strings.Join(names, ", "))
	}
	if m := nearest(all, cfg, against); m != nil {
		return k, m
	}
	return k, fmt.Errorf("[task] no kind fits data and network: %s", strings.Join(why, "; "))
}

// nearest is what speaks against the task that fits best: it has data and network but not all that is asked, or it has the data, and
// other networks are for it. nil: no task has the data.
func nearest(all []Kind, cfg recipe.Config, against []*task.Misfit) *task.Misfit {
	for _, m := range against {
		if m.Key != task.SourceKey && m.Key != task.NetworkKey {
			return m
		}
	}
	if cfg.TaskKind() != "" || cfg.Model.Of == nil { // the task's own words; or its table says what is wrong
		return nil
	}
	var networks []string
	for _, b := range recipe.Bodies() {
		other := cfg
		other.Model.Choose(b.Name, recipe.Lists())
		if slices.ContainsFunc(all, func(k Kind) bool { return suits(k.Fits(other)) }) {
			networks = append(networks, b.Name)
		}
	}
	if len(networks) == 0 || !slices.ContainsFunc(against, func(m *task.Misfit) bool { return m.Key == task.NetworkKey }) {
		return nil
	}
	return &task.Misfit{Key: task.NetworkKey, Value: cfg.Model.Name,
		Message: fmt.Sprintf("is not for [data] source = %q; want %s", cfg.Data.Name, strings.Join(networks, " or "))}
}

// suits reports whether data and network are a task's, whatever else speaks against it.
func suits(err error) bool {
	m, ok := err.(*task.Misfit)
	return err == nil || ok && m.Key != task.SourceKey && m.Key != task.NetworkKey
}
