// Package images reads labelled images, digits or folders of PNG and JPEG files, and hands out their variants. It knows
// nothing of networks or training.
//
//	d, err := images.Open(ctx, images.DefaultMNIST()) // or an images.Folder
//	loader, err := images.NewLoader(d.Train, images.LoaderConfig{BatchSize: 32, Classes: len(d.Labels), Seed: 1, Normalisation: d.Normalisation})
//	var batch images.Batch
//	for step := range steps {
//		loader.Next(&batch) // batch.Pixels, Targets
//		...
//	}
//
// A [Corruption] spoils images to measure robustness.
package images
