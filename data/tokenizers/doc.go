// Package tokenizers turns text into ids and back: bytes, characters, words, byte-pair encoding and WordPiece, made from
// documents, and any tokenizer.json of Hugging Face (BPE, WordPiece, Unigram, WordLevel) or vocab.txt of BERT. It knows
// nothing of data sets, examples or networks.
//
//	tokenizer, err := tokenizers.New(ctx, tokenizers.Config{Tokenizer: "bpe", VocabSize: 4096, MinCount: 1}, documents)
//	ids, err := tokenizer.Encode("some text")
//	err = os.WriteFile("tokenizer.json", tokenizer.Save(), 0o644) // tokenizers.Load reads it back
//
//	stream := tokenizers.NewStream(tokenizer) // text that is shown while it is generated
//	fmt.Print(stream.Push(ids[0]))
//
// Byte-pair encoding follows Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units"
// (ACL 2016), over bytes as in GPT-2 (Radford et al. 2019), and agrees id by id with Hugging Face tokenizers. It is our
// own because github.com/sugarme/tokenizer does not agree on real text (119 of 622 chunks got other ids) and its loader
// panics on malformed files.
package tokenizers
