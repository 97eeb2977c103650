// Package saved is a model on disk: it finds a checkpoint, opens it with its base if it is an adapter, measures it on other data,
// takes its weights for another network, and writes what is derived from it. It knows neither the trainer nor how checkpoints
// came to be.
//
//	m, err := saved.Open("runs/quickstart", false, model.Options{Packed: true})
//	score, err := m.Task.Evaluate(ctx, m.Session, task.Measure{})
package saved
