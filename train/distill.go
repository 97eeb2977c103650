package train

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// networkOf is what a run trains: the config's network, with the teacher's part in its loss.
func networkOf(c recipe.Config, dims model.Dims) (model.Network, error) {
	n, err := c.Model.Network(dims)
	d := c.Train.Distill
	if d == nil || err != nil {
		return n, err
	}
	if dims.Regression {
		return nil, fmt.Errorf("[train.distill]: a regression has no classes whose probabilities a teacher could tell")
	}
	return model.Distilled{Network: n, Output: model.Lesson(n), Weight: d.Weight, Temperature: d.Temperature}, nil
}

// openTeacher loads the network that a run learns from, nil if there is none. It must give scores for the same classes or
// tokens, or vectors of the same texts.
func openTeacher(cfg recipe.Config, files map[string][]byte, dims model.Dims, o saved.Options) (*model.Session, error) {
	c := cfg.Train.Distill
	if c == nil {
		return nil, nil
	}
	student, err := cfg.Model.Network(dims)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("[train.distill] teacher = %q", c.Teacher)
	if dims.Regression {
		return nil, fmt.Errorf("%s: the data has scores to predict, and no classes whose probabilities a teacher could tell", where)
	}
	l, err := saved.Open(c.Teacher, false, model.Options{}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(files))) {
		if theirs, err := l.Files.File(name); err != nil || !bytes.Equal(theirs, files[name]) {
			return nil, fmt.Errorf("%s: its %s is not that of this run's data; want a network for the same data", where, name)
		}
	}
	if got, want := model.Lesson(l.Session.Network()), model.Lesson(student); got != want {
		return nil, fmt.Errorf("%s: it gives %s and this run's network %s; want a network for the same task", where, got, want)
	}
	if dims.Context > l.Dims.Context {
		return nil, fmt.Errorf("%s: its context is %d; want at least %d", where, l.Dims.Context, dims.Context)
	}
	return l.Session, nil
}

// teacherBytes is the memory of the teacher, without a batch's graphs but for the largest.
func teacherBytes(c *recipe.Distill, largest model.Shape, o saved.Options) (int, error) {
	if c == nil {
		return 0, nil
	}
	l, err := saved.Describe(c.Teacher, "", false, o)
	if err != nil {
		return 0, fmt.Errorf("[train.distill] teacher = %q: %w", c.Teacher, err)
	}
	store := l.Session.Store()
	p, err := l.Session.Program(model.Score, l.Dims.Shape(largest.Rows, min(task.Elements(largest), l.Dims.Context)))
	if err != nil {
		return 0, fmt.Errorf("[train.distill] teacher = %q: %w", c.Teacher, err)
	}
	return store.Bytes() + store.BaseBytes() + store.IndexBytes() + p.ActivationBytes(), nil
}
