package tokenizers_test

import (
	"fmt"

	"sparrow/data/tokenizers"
)

func ExampleStream() {
	tokenizer := tokenizers.ByteTokenizer{}
	ids, _ := tokenizer.Encode("né")
	stream := tokenizers.NewStream(tokenizer)
	for _, id := range ids {
		fmt.Printf("%d %q\n", id, stream.Push(id))
	}
	// Output:
	// 110 "n"
	// 195 ""
	// 169 "é"
}
