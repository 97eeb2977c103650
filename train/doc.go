// Package train turns a model and a stream of batches into a trained checkpoint: the loop, the optimizers, the
// learning-rate schedule, the metrics and what a person at a terminal sees of them. It must not know how a layer
// computes, what a compressed model is, or any command-line flag.
//
// Everything that a run measures takes one path: a [Record] goes into [Metrics], which appends it to metrics.csv,
// log.jsonl and a TensorBoard event file; [ReadMetrics] reads it back and [WriteLossPlot] draws it.
//
//	schedule := train.Schedule{Kind: "cosine", Warmup: 20, Steps: 200, Peak: 3e-3, MinRatio: 0.1}
//	metrics, err := train.OpenMetrics(dir, 0)
//	if err != nil {
//		return err
//	}
//	for step := range schedule.Steps {
//		rate := schedule.At(step)
//		loss := update(rate)
//		err := metrics.Write(train.Record{Step: step + 1, Kind: train.KindTrain, Values: []train.Value{
//			{Name: "loss", X: loss}, {Name: "learning_rate", X: rate}}})
//		if err != nil {
//			return err
//		}
//	}
//	return metrics.Close()
//
// Papers: cosine decay is Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017),
// without the restarts; warm-up, stable, decay is Hu et al., "MiniCPM" (2024).
package train
