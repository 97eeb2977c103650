package tokenizers

import (
	"fmt"

	"sparrow/data"
)

// checkUTF8 returns an error that names the first byte of text that is not valid UTF-8.
func checkUTF8(text string) error {
	if at := data.InvalidUTF8(text); at >= 0 {
		return fmt.Errorf("data: text is not valid UTF-8 at byte %d (0x%02x); the byte tokenizer takes any content", at, text[at])
	}
	return nil
}
