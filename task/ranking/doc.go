// Package ranking is the task of networks that recommend: which items a user chooses next. It feeds interactions to networks, measures
// by full ranking, and recommends. It knows no network by its name.
//
//	t, err := ranking.Open(cfg, nil)
//	score, err := t.Evaluate(ctx, session, task.Measure{Split: task.Test})
package ranking
