package pairs

import (
	"context"
	"fmt"

	"sparrow/metrics"
	"sparrow/model"
	"sparrow/task"
)

// Ranks implements task.Ranker.
func (t *Task) Ranks() bool { return true }

// Rank implements task.Ranker: query and document are the two texts of a pair.
func (t *Task) Rank(ctx context.Context, s *model.Session, query string, documents []string) ([]float64, error) {
	all := make([]pair, len(documents))
	for i, d := range documents {
		all[i] = pair{query, d}
	}
	return t.scores(ctx, s, all)
}

// Reads implements task.Predictor.
func (t *Task) Reads() task.Form { return task.TwoTexts }

// Names implements task.Predictor.
func (t *Task) Names() []string { return []string{task.ScoreName} }

// Predict implements task.Predictor: the score of each pair.
func (t *Task) Predict(ctx context.Context, s *model.Session, in []task.Input) ([]task.Prediction, error) {
	all := make([]pair, len(in))
	for i, x := range in {
		if len(x.Texts) != 2 {
			return nil, &task.InputError{Index: i, Err: fmt.Errorf("%d texts; want 2", len(x.Texts))}
		}
		all[i] = pair{x.Texts[0], x.Texts[1]}
	}
	scores, err := t.scores(ctx, s, all)
	if err != nil {
		return nil, err
	}
	out := make([]task.Prediction, len(in))
	for i, x := range scores {
		out[i] = task.Prediction{metrics.Value{Name: task.ScoreName, X: x}}
	}
	return out, nil
}

// Suggest implements task.Suggester.
func (t *Task) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	return task.Suggestion{Command: "predict", From: "pairs.tsv"}, nil
}
