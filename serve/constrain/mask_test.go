package constrain

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMasks: a token is allowed exactly if its bytes are one by one, also where long repetitions share masks and where a constraint
// begins anew because it has grown too large.
func TestMasks(t *testing.T) {
	v, texts := vocabulary()
	r := rand.New(rand.NewPCG(3, 4))
	for _, schema := range []string{
		`{"type": "string", "maxLength": 60}`, `{"type": "string", "minLength": 30, "maxLength": 60}`, `{"type": "string", "pattern": "^(ab|é|日){20,50}$"}`, `{"type": "string", "pattern": "^(a?){20,50}b$"}`,
		`{"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 15, "maxItems": 30}`, `{"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 30}, "maxItems": 30}`,
	} {
		for _, small := range []bool{false, true} {
			c, err := Compile(v, []byte(schema))
			if err != nil {
				t.Fatal(err)
			}
			w, plain := c.Writing(), c.Writing()
			var written, bytes []int
			for range 70 {
				if small && r.IntN(5) == 0 {
					c.a.masked = maxMaskBytes + 1
				}
				scores := make([]float32, len(texts))
				if !w.Apply(written, scores, -1) {
					t.Fatalf("%s: what was allowed is not", schema)
				}
				var may []int
				for id, text := range texts[:len(texts)-1] {
					longer := bytes
					for _, b := range []byte(text) {
						longer = append(longer[:len(longer):len(longer)], int(b))
					}
					if want := plain.follow(longer); want != (scores[id] == 0) {
						t.Fatalf("%s: %q after %d bytes: allowed %t, want %t", schema, text, len(bytes), scores[id] == 0, want)
					} else if want {
						may = append(may, id)
					}
				}
				if (scores[len(texts)-1] == 0) != plain.Complete(bytes) {
					t.Fatalf("%s: the end after %d bytes", schema, len(bytes))
				}
				if len(may) == 0 {
					break
				}
				id := may[r.IntN(len(may))]
				if texts[id] == `"` && len(may) > 1 && r.IntN(4) > 0 { // strings are to become long
					id = may[0]
				}
				written = append(written, id)
				for _, b := range []byte(texts[id]) {
					bytes = append(bytes, int(b))
				}
			}
		}
	}
}

// BenchmarkMask is a new mask in a string of bounded length, over 50,000 tokens of words.
func BenchmarkMask(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	texts := []string{""}
	for i := range 256 {
		texts = append(texts, string([]byte{byte(i)}))
	}
	for len(texts) < 50000 {
		var word strings.Builder
		if r.IntN(2) == 0 {
			word.WriteByte(' ')
		}
		for range 2 + r.IntN(8) {
			word.WriteByte("etaoinshrdlucmfwyp"[r.IntN(18)])
		}
		texts = append(texts, word.String())
	}
	c, err := Compile(NewVocabulary(texts, []int{0}), []byte(`{"type": "string", "minLength": 50, "maxLength": 1000}`))
	if err != nil {
		b.Fatal(err)
	}
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprint("known ", known), func(b *testing.B) {
			w, written, scores := c.Writing(), []int{'"' + 1}, make([]float32, len(texts))
			for b.Loop() {
				if written = append(written, 'a'+1); len(written) > 900 {
					b.StopTimer()
					written = written[:1]
					if !known {
						c.a = newAutomaton(c.root)
						w = c.Writing()
						w.follow(written)
					}
					b.StartTimer()
				}
				w.Apply(written, scores, -1)
			}
		})
	}
}
