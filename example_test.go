package sparrow_test

import (
	"context"
	"fmt"
	"log"

	"sparrow"
)

// A classifier labels texts; any number of goroutines may ask it.
func ExampleModel_Predict() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "runs/imdb-lama", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	predictions, err := m.Predict(ctx, sparrow.Text("a warm and funny film"), sparrow.Text("two hours that I want back"))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range predictions {
		fmt.Printf("%s %.2f\n", p[0].Name, p[0].X)
	}
}

// A language model continues a text, piece by piece.
func ExampleModel_Generate() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "runs/quickstart", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for text, err := range m.Generate(ctx, "func ", sparrow.GenerateOptions{Tokens: 40, Temperature: 0.8, Seed: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
	}
}
