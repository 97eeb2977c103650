// Package train turns a model and a stream of batches into a trained checkpoint: the loop, the optimizers and the
// learning-rate schedule. It must not know how a layer computes, what a compressed model is, or any command-line flag.
//
//	t, err := train.New(ctx, cfg, dir, false, os.Stderr)
//	if err != nil {
//		return err
//	}
//	result, err := t.Run(ctx, nil) // result.Best is a checkpoint; train.Open reads it
//
// What a run measures goes through package metrics.
//
// Papers: cosine decay is Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017),
// without the restarts; warm-up, stable, decay is Hu et al., "MiniCPM" (2024).
package train
