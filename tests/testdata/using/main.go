// Command using is what a program that uses a model by package sparrow links.
package main

import (
	"context"
	"fmt"
	"os"

	"sparrow"
)

func main() {
	ctx := context.Background()
	m, err := sparrow.Open(ctx, os.Args[1], sparrow.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer m.Close()
	fmt.Println(m.Predict(ctx, sparrow.Text(os.Args[2])))
	fmt.Println(m.Embed(ctx, os.Args[2:], sparrow.EmbedOptions{}))
	fmt.Println(m.Rerank(ctx, os.Args[2], os.Args[2:]))
	for text, err := range m.Generate(ctx, os.Args[2], m.Defaults()) {
		fmt.Print(text, err)
	}
}
