package tokenizers

import (
	"fmt"
	"slices"
	"testing"
)

func TestTokens(t *testing.T) {
	for _, test := range []struct {
		name      string
		vocabSize int
		bytes     int // for four ids
	}{
		{"one byte", 256, 4}, {"two bytes", 257, 8}, {"two bytes, largest", 1 << 16, 8}, {"four bytes", 1<<16 + 1, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids := []int{0, 7, test.vocabSize - 1, 255}
			tokens, err := NewTokens(test.vocabSize, ids)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]int, 3)
			tokens.Copy(got, 1)
			if !slices.Equal(got, ids[1:]) || tokens.Len() != 4 || tokens.Bytes() != test.bytes {
				t.Errorf("tokens %v, Len %d, Bytes %d, want %v, 4, %d", got, tokens.Len(), tokens.Bytes(), ids[1:], test.bytes)
			}
		})
	}
	for _, id := range []int{-1, 10} {
		_, err := NewTokens(10, []int{3, id})
		if want := fmt.Sprintf("data: token 1 of the stream is %d, want an id in [0, 10)", id); err == nil || err.Error() != want {
			t.Errorf("NewTokens: got error %v, want %s", err, want)
		}
	}
}
