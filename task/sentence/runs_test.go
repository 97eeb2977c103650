package sentence

import (
	"context"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/recipe"
)

// TestSplitFillsLittle: of texts of mixed lengths, little more is computed than there is; every text is in a run that holds it, and
// several texts are never in a run of so few tokens that its products add in another order.
func TestSplitFillsLittle(t *testing.T) {
	for _, x := range []struct {
		lengths []int
		most    int // tokens of all runs, filling included
	}{
		{[]int{18, 17, 16, 15, 15, 14, 12, 12, 11, 9, 9, 8, 7, 6, 5, 4}, 256}, // 178 tokens; one shape for all would have 320
		{[]int{3, 3}, 48},
		{[]int{60, 3, 3, 3}, 4 * 64},
		{append([]int{200}, slices.Repeat([]int{40}, 8)...), 224 + 320},
		{slices.Repeat([]int{20}, 32), 640},
		{[]int{20}, 20},
		{[]int{256, 255}, 512},
	} {
		counts, shapes := split(x.lengths, 256)
		rest, tokens := x.lengths, 0
		for i, n := range counts {
			s := shapes[i]
			if s.Rows < n || s.Length < rest[0] || s.Length > 256 || len(x.lengths) > 1 && s.Rows*s.Length <= kernel.ThinRows {
				t.Errorf("%v: a run of %d texts of up to %d tokens is %+v", x.lengths, n, rest[0], s)
			}
			rest, tokens = rest[n:], tokens+s.Rows*s.Length
		}
		if len(rest) > 0 || tokens > x.most {
			t.Errorf("%v: runs %v of %v have %d tokens and leave %d texts; want at most %d, and none", x.lengths, counts, shapes, tokens, len(rest), x.most)
		}
	}
}

// TestVectorsStay: texts have the same vectors, bit for bit, as in one run of 32 rows that are as long as the longest of them.
func TestVectorsStay(t *testing.T) {
	body := encoder.Default()
	body.DModel, body.NLayer, body.DFF, body.Attention.NHead = 64, 2, 96, 4
	body.Sentence = &encoder.Sentence{Pooling: "mean", Normalize: true}
	s, err := recipe.ModelOf(body).NewSession(model.Dims{VocabSize: 50, Context: 128}, nn.NewStore(tensor.Float32), model.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	how := s.Network().(model.Sentences)
	how.Longest = 128
	var texts [][]int
	for i := range 32 {
		text := make([]int, 1+i*i*7%45)
		for j := range text {
			text[j] = 1 + (i*31+j*j*7)%49
		}
		texts = append(texts, text)
	}
	all := make([]int, len(texts))
	for i := range all {
		all[i] = i
	}
	for _, some := range [][]int{all, {0, 1}, {3, 17, 9}, {31, 30, 29, 28, 27, 26, 25}, {4, 5, 6, 1}, {10, 1, 2, 3, 4}, {7}} {
		var in [][]int
		longest := 0
		for _, i := range some {
			in, longest = append(in, texts[i]), max(longest, len(texts[i]))
		}
		shape := model.Shape{Rows: 32, Length: (longest + 7) / 8 * 8}
		if len(some) == 1 {
			shape.Rows = 1
		}
		want := make([][]float32, len(texts))
		if err := run(s, how, shape, 0, texts, some, want); err != nil {
			t.Fatal(err)
		}
		got, err := Vectors(context.Background(), s, how, 0, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		for j, i := range some {
			if !slices.Equal(got[j], want[i]) {
				t.Errorf("text %d of %d tokens among %v: %v; want %v", i, len(texts[i]), some, got[j][:4], want[i][:4])
			}
		}
	}
}
