// Package train turns a model and a stream of batches, or of rounds, into a trained checkpoint: the loop, its state and how it
// resumes, and the memory that it takes. It must not know how a layer computes, how weights are moved (see train/optim and train/stf),
// what a compressed model is, or any command-line flag.
//
//	t, err := train.New(ctx, cfg, dir, false, os.Stderr)
//	if err != nil {
//		return err
//	}
//	result, err := t.Run(ctx, nil) // result.Best is a checkpoint; train.Open reads it
//
// What a run measures goes through package metrics.
package train
