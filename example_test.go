package sparrow_test

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log"

	"sparrow"
)

// The models of the examples are tiny, of random weights, and know the words w0 to w33; see testdata/README.md.

// A classifier labels texts; any number of goroutines may ask it.
func ExampleModel_Predict() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "testdata/classifier", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	predictions, err := m.Predict(ctx, sparrow.Text("w1 w2 w3"), sparrow.Text("w9"))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range predictions {
		fmt.Printf("%s %.2f\n", p[0].Name, p[0].X)
	}
	// Output:
	// maybe 0.43
	// maybe 0.44
}

// A language model continues a text, piece by piece.
func ExampleModel_Generate() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "testdata/writer", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for text, err := range m.Generate(ctx, "w12 w2", sparrow.GenerateOptions{Tokens: 5}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
	}
	// Output: w6 w29 w18 w15 w4
}

// A sentence encoder gives texts vectors.
func ExampleModel_Embed() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "testdata/encoder", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	vectors, err := m.Embed(ctx, []string{"w1 w2", "w9"}, sparrow.EmbedOptions{Dims: 3})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range vectors {
		fmt.Printf("%.3f\n", v)
	}
	// Output:
	// [0.321 0.028 2.953]
	// [0.607 0.073 1.698]
}

// A cross-encoder, or a sentence encoder, orders documents by how well they answer a query.
func ExampleModel_Rerank() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "testdata/reranker", sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	documents := []string{"w4", "w9 w8 w7", "w30 w31"}
	ranked, err := m.Rerank(ctx, "w1 w2 w3", documents)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range ranked {
		fmt.Printf("%.3f %s\n", r.Score, documents[r.Index])
	}
	// Output:
	// 0.613 w30 w31
	// 0.611 w4
	// 0.607 w9 w8 w7
}

//go:embed testdata/encoder
var carried embed.FS

// A program carries its model inside.
func ExampleOpenFS() {
	ctx := context.Background()
	folder, err := fs.Sub(carried, "testdata/encoder")
	if err != nil {
		log.Fatal(err)
	}
	m, err := sparrow.OpenFS(ctx, folder, sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ranked, err := m.Rerank(ctx, "w1 w2", []string{"w9", "w1 w2 w3"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the nearest is document", ranked[0].Index)
	// Output: the nearest is document 1
}

// A path leads to a run or to a checkpoint.
func ExampleOpen() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, "testdata/encoder", sparrow.Options{Float32: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Close(); err != nil { // waits for calls under way
		log.Fatal(err)
	}
	_, err = m.Embed(ctx, []string{"w1"}, sparrow.EmbedOptions{})
	fmt.Println(errors.Is(err, sparrow.ErrClosed))
	// Output: true
}
