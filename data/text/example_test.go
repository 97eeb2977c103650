package text_test

import (
	"fmt"

	"sparrow/data/text"
	"sparrow/data/tokenizers"
)

func ExampleLoader() {
	tokenizer := tokenizers.ByteTokenizer{}
	ids, _ := tokenizer.Encode("the quick brown fox jumps over the lazy dog")
	tokens, err := tokenizers.NewTokens(tokenizer.VocabSize(), ids)
	if err != nil {
		fmt.Println(err)
		return
	}
	loader, err := text.NewLoader(tokens, text.LoaderConfig{SeqLen: 6, BatchSize: 2, Seed: 1})
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
