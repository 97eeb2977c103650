// Package labelled reads texts with a class or a score, one or two an example, and pads them to one of at most four lengths:
// film reviews, or files of tab-separated values. It knows nothing of networks or training.
//
//	d, err := labelled.Open(ctx, labelled.DefaultIMDB()) // or a labelled.Table
//	loader, err := labelled.NewLoader(d.Train, labelled.LoaderConfig{BatchSize: 32, MaxLen: 256, Seed: 1})
//	var batch labelled.Batch
//	for step := range steps {
//		loader.Next(&batch) // batch.Tokens, Types, Lengths, Labels
//		...
//	}
//
// A [TextEncoder] makes one example of a text, as a model takes it.
package labelled
