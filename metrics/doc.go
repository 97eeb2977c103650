// Package metrics is what a run measures, on its way to files: records, and their three files. It must not know what is trained,
// nor how.
//
// Everything takes one path: a [Record] goes into [Files], which appends it to metrics.csv, log.jsonl and a TensorBoard event
// file; [Read] reads it back, and metrics/plot draws it.
//
//	files, err := metrics.Open(dir, 0)
//	if err != nil {
//		return err
//	}
//	for step := range steps {
//		loss := update()
//		err := files.Write(metrics.Record{Step: step + 1, Kind: metrics.KindTrain, Values: []metrics.Value{{Name: "loss", X: loss}}})
//		if err != nil {
//			return err
//		}
//	}
//	return files.Close()
package metrics
