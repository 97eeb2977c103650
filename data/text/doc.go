// Package text reads corpora for language models and hands out windows of their tokens: the Go distribution's source, or
// files of one's own. It knows nothing of labels, networks or training.
//
//	dataset, err := text.Open(ctx, text.DefaultGoroot()) // the Go distribution's source, as bytes
//	loader, err := text.NewLoader(dataset.Train, text.LoaderConfig{SeqLen: 128, BatchSize: 16, Seed: 1})
//	inputs, targets := make([]int, 16*128), make([]int, 16*128)
//	for step := range steps {
//		loader.Next(inputs, targets)
//		...
//	}
//	saved := loader.Cursor() // into the checkpoint; loader.Seek(saved) continues with equal batches
package text
