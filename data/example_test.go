package data_test

import (
	"fmt"

	"sparrow/data"
)

func ExampleLoader() {
	tokenizer := data.ByteTokenizer{}
	ids, _ := tokenizer.Encode("the quick brown fox jumps over the lazy dog")
	tokens, err := data.NewTokens(tokenizer.VocabSize(), ids)
	if err != nil {
		fmt.Println(err)
		return
	}
	loader, err := data.NewLoader(tokens, data.LoaderConfig{SeqLen: 6, BatchSize: 2, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	inputs, targets := make([]int, 12), make([]int, 12)
	loader.Next(inputs, targets)
	cursor := loader.Cursor()
	fmt.Printf("%q -> %q\n", tokenizer.Decode(inputs[:6]), tokenizer.Decode(targets[:6]))
	fmt.Printf("%q -> %q\n", tokenizer.Decode(inputs[6:]), tokenizer.Decode(targets[6:]))
	fmt.Printf("%+v\n", cursor)
	// Output:
	// "e lazy" -> " lazy "
	// "umps o" -> "mps ov"
	// {Epoch:0 Position:2}
}

func ExampleStream() {
	tokenizer := data.ByteTokenizer{}
	ids, _ := tokenizer.Encode("né")
	stream := data.NewStream(tokenizer)
	for _, id := range ids {
		fmt.Printf("%d %q\n", id, stream.Push(id))
	}
	// Output:
	// 110 "n"
	// 195 ""
	// 169 "é"
}
