// Package task is what a network is for: its data, the sizes that follow from that, batches for its programs, and what is measured
// and predicted. It knows no kind of task, no trainer and no model on disk.
//
//	goal, err := kinds.Open(kinds.All(), cfg, files) // files: what a checkpoint keeps; nil: a new run
//	err = goal.Read(ctx)
//	batches, err := task.Batches(ctx, goal, session, task.Feed{Mode: model.Train, Split: task.Training, Seed: 1})
//	program, targets, err := batches.Next()
//	score, err := goal.Evaluate(ctx, session, task.Measure{})
//
// What some tasks can do besides are small interfaces: Predictor, Generator, Explainer and others.
package task
