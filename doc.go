// Package sparrow uses trained models from Go: texts and images are labelled, texts continued, compared and ranked. A [Model] may be
// used by any number of goroutines, whose answers have the bits of one alone. What a call returns is the caller's; what it takes it
// only reads, and keeps nothing of it. The package knows neither the trainer nor the command line.
//
//	m, err := sparrow.Open(ctx, "runs/imdb-lama", sparrow.Options{})
//	defer m.Close()
//	predictions, err := m.Predict(ctx, sparrow.Text("a warm and funny film"))
//	fmt.Println(predictions[0][0].Name, predictions[0][0].X)
package sparrow
