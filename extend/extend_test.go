package extend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/data/tokenizers"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// bpe is a byte-level tokenizer of the 256 bytes and some words, in that order.
func bpe(t *testing.T, words ...string) tokenizers.Tokenizer {
	t.Helper()
	name := func(text string) string {
		var b strings.Builder
		for _, c := range []byte(text) {
			switch {
			case c > 32 && c < 127:
				b.WriteByte(c)
			case c == ' ':
				b.WriteRune('Ġ')
			default: // as GPT-2 writes bytes that are no characters
				b.WriteRune(rune(256 + int(c)))
			}
		}
		return b.String()
	}
	vocab, merges := map[string]int{}, [][2]string{}
	for _, r := range byteRunes() {
		vocab[string(r)] = len(vocab)
	}
	for _, word := range words {
		text := []rune(name(word))
		for i := 2; i <= len(text); i++ { // a merge for each longer beginning
			if _, known := vocab[string(text[:i])]; !known {
				merges = append(merges, [2]string{string(text[:i-1]), string(text[i-1])})
				vocab[string(text[:i])] = len(vocab)
			}
		}
	}
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	content, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": []any{map[string]any{"id": len(vocab), "content": "<|endoftext|>", "special": true}},
		"pre_tokenizer": level, "decoder": level, "model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenizers.Load(content)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// byteRunes are the characters of GPT-2's bytes.
func byteRunes() []rune {
	var out []rune
	more := rune(256)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			out = append(out, rune(b))
		} else {
			out, more = append(out, more), more+1
		}
	}
	return out
}

// checkpoint writes a network of random weights with a tokenizer and opens it.
func checkpoint(t *testing.T, body model.Body, kind string, tokenizer tokenizers.Tokenizer, files map[string][]byte) *saved.Model {
	t.Helper()
	dims := model.Dims{VocabSize: tokenizer.VocabSize(), Context: 32}
	m := recipe.ModelOf(body)
	network, err := m.Network(dims)
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	if _, err := model.NewSession(network, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		rng.FillNormal(rng.New(3, name, 0), store.Get(name).Float32s(), 0.05, 0.3)
	}
	all := map[string][]byte{"tokenizer.json": tokenizer.Save()}
	for name, text := range files {
		all[name] = text
	}
	c, err := saved.WithoutData("test", m, dims, kind, all)
	if err != nil {
		t.Fatal(err)
	}
	c.Arrays = map[string][]checkpoints.Array{"model.npz": saved.Arrays(store)}
	dir := filepath.Join(t.TempDir(), "model")
	if err := checkpoints.Write(dir, c); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func small(tied bool) decoder.Config {
	c := decoder.Default()
	c.DModel, c.NLayer, c.DFF, c.Attention.NHead, c.Tied = 16, 1, 24, 2, tied
	return c
}

// fixed are vectors in memory.
type fixed map[string][]float32

func (f fixed) Each(_ context.Context, yield func(string, []float32) error) error {
	for _, word := range slices.Sorted(maps(f)) {
		if err := yield(word, f[word]); err != nil {
			return err
		}
	}
	return nil
}

func maps(f fixed) func(func(string) bool) {
	return func(yield func(string) bool) {
		for word := range f {
			if !yield(word) {
				return
			}
		}
	}
}

func extended(t *testing.T, l *saved.Model, s Settings) (*Extended, *saved.Model) {
	t.Helper()
	x, err := Run(context.Background(), l, s)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := x.Write(out); err != nil {
		t.Fatal(err)
	}
	m, err := saved.Open(out, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return x, m
}

// logits are the scores of a text, by token text.
func logits(t *testing.T, l *saved.Model, text string) []map[string]float64 {
	t.Helper()
	tokenizer, err := task.ReadTokenizer(l.Files)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := model.NewSession(l.Session.Network(), l.Session.Store(), l.Config.Model.Represented(model.Options{Sites: []string{"logits"}}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(ids)})
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": ids, "targets": ids})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	values, pieces := p.Output("logits").Float64s(), tokenizers.Pieces(tokenizer)
	var out []map[string]float64
	for row := range ids {
		scores := map[string]float64{}
		for id, p := range pieces {
			scores[p.Text] = values[row*len(pieces)+id]
		}
		out = append(out, scores)
	}
	return out
}

// TestKnownTextIsUnchanged: a text that needs no new token has the same scores of old tokens, whatever ids they have now, in a table
// and in factors of full rank, with a tied head and one of its own.
func TestKnownTextIsUnchanged(t *testing.T) {
	before, after := bpe(t, " the", " house", " a"), bpe(t, " a", " Haus", " das", " house", " the")
	for _, tied := range []bool{false, true} {
		for _, rank := range []int{0, 16} {
			l := checkpoint(t, small(tied), "language", before, nil)
			s := DefaultSettings()
			s.Tokenizer, s.Start, s.Rank = after, "mean", rank
			x, m := extended(t, l, s)
			want, got := logits(t, l, "the house a the"), logits(t, m, "the house a the")
			for row := range want {
				for text, score := range want[row] {
					if d := math.Abs(got[row][text] - score); d > 1e-5*max(1, math.Abs(score)) {
						t.Fatalf("tied %t, rank %d: the score of %q changed by %g", tied, rank, text, d)
					}
				}
			}
			if r := x.Report; r.Copied < before.VocabSize() || r.Similar != 0 || r.Fallen == 0 || r.Copied+r.Fallen != after.VocabSize() {
				t.Errorf("report: %+v", r)
			}
			if rank > 0 && math.Abs(x.Report.Energy-1) > 1e-6 {
				t.Errorf("rank %d keeps %g of the energy", rank, x.Report.Energy)
			}
		}
	}
}

// TestSimilar: a new token is the mixture of the old ones whose words are close to its own, in the embedding and in a head of its own,
// with OFA's weights; without a vector it is random, and the same again.
func TestSimilar(t *testing.T) {
	before, after := bpe(t, " h", " d", " t"), bpe(t, " h", " d", " t", " u", " n", " xy") // of one letter each, so that each is one merge
	l := checkpoint(t, small(false), "language", before, nil)
	words := fixed{"h": {1, 0, 0}, "d": {0, 1, 0}, "t": {0, 0, 1}, "u": {0.9, 0.1, 0.3}, "n": {0.1, 2, 0}}
	s := DefaultSettings()
	s.Tokenizer, s.Words, s.Neighbours = after, words, 3
	x, m := extended(t, l, s)
	id := func(of tokenizers.Tokenizer, text string) int {
		ids, err := of.Encode(text)
		if err != nil || len(ids) != 1 {
			t.Fatalf("%q: %v, %v", text, ids, err)
		}
		return ids[0]
	}
	added := id(after, " u")
	cos := func(a, b []float32) float64 {
		var ab, aa, bb float64
		for i := range a {
			ab, aa, bb = ab+float64(a[i]*b[i]), aa+float64(a[i]*a[i]), bb+float64(b[i]*b[i])
		}
		return ab / math.Sqrt(aa*bb)
	}
	// The pieces with vectors closest to that of " u", whose only word is u, by a search through all of them.
	old, fresh := newMeanings(before), newMeanings(after)
	for word, v := range words {
		if err := errors.Join(old.add(word, v), fresh.add(word, v)); err != nil {
			t.Fatal(err)
		}
	}
	type near struct {
		id  int
		cos float64
	}
	var all []near
	for i, p := range tokenizers.Pieces(before) {
		if old.words[i] > 0 && !p.Special {
			v, w := make([]float32, 3), make([]float32, 3)
			old.unit(i, v)
			fresh.unit(added, w)
			all = append(all, near{i, cos(v, w)})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int {
		if a.cos > b.cos {
			return -1
		}
		return 1
	})
	var weights [3]float64
	sum := 0.0
	for i := range weights {
		weights[i] = math.Exp(all[i].cos / s.Temperature)
		sum += weights[i]
	}
	for _, name := range []string{"model.embed_tokens.weight", "lm_head.weight"} {
		was, is := l.Session.Store().Get(name).Float32s(), m.Session.Store().Get(name).Float32s()
		for j := range 16 {
			want := 0.0
			for i, w := range weights {
				want += w / sum * float64(was[all[i].id*16+j])
			}
			if got := float64(is[added*16+j]); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: element %d of the new row is %g, want %g", name, j, got, want)
			}
		}
	}
	if x.Report.Similar == 0 || x.Report.Fallen == 0 || x.Report.WithVector == 0 || !x.Report.IsNew(added) || x.Report.IsNew(id(after, " h")) {
		t.Errorf("report: %+v", x.Report)
	}
	_, again := extended(t, l, s)
	if !slices.Equal(again.Session.Store().Get("lm_head.weight").Float32s(), m.Session.Store().Get("lm_head.weight").Float32s()) {
		t.Error("the same settings give other rows")
	}
	row := func(l *saved.Model) []float32 {
		return l.Session.Store().Get("lm_head.weight").Float32s()[added*16 : added*16+16]
	}
	moved := 0
	for s.Shuffled, s.Seed = true, 1; s.Seed < 6; s.Seed++ {
		if _, other := extended(t, l, s); !slices.Equal(row(other), row(m)) {
			moved++
		}
	}
	if moved < 2 {
		t.Errorf("vectors of other words give another mixture for %d of 5 orders", moved)
	}
}

// TestStarts: rows that are drawn have the mean, the deviations and, of gauss, the covariance of the old ones.
func TestStarts(t *testing.T) {
	const old, width, n = 400, 3, 20000
	data := make([]float32, old*width)
	r := rng.New(1, "rows", 0)
	for i := range old {
		z := make([]float64, 2)
		rng.FillNormal(r, z, 0, 1)
		data[i*width], data[i*width+1], data[i*width+2] = float32(2+z[0]), float32(0.8*z[0]+0.3*z[1]), float32(0.1*z[1]-1)
	}
	moments := func(x []float32) (mean [width]float64, cov [width][width]float64) {
		rows := len(x) / width
		for i, v := range x {
			mean[i%width] += float64(v) / float64(rows)
		}
		for i := range rows {
			for a := range width {
				for b := range width {
					cov[a][b] += (float64(x[i*width+a]) - mean[a]) * (float64(x[i*width+b]) - mean[b]) / float64(rows)
				}
			}
		}
		return mean, cov
	}
	mean, cov := moments(data)
	from := slices.Repeat([]int{-1}, n)
	for _, name := range Starts() {
		start, err := startNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		made, err := (&rows{from: from, start: start, seed: 2}).of(context.Background(), "w", data, old)
		if err != nil {
			t.Fatal(err)
		}
		gotMean, gotCov := moments(made)
		for a := range width {
			if math.Abs(gotMean[a]-mean[a]) > 0.05 {
				t.Errorf("%s: mean %v, want %v", name, gotMean, mean)
			}
			for b := range width {
				want := cov[a][b]
				if name == "mean" || name != "gauss" && a != b {
					want = 0
				}
				if math.Abs(gotCov[a][b]-want) > 0.05 {
					t.Errorf("%s: covariance of %d and %d is %g, want %g", name, a, b, gotCov[a][b], want)
				}
			}
		}
	}
	if got := (&rows{from: []int{1, -1, 0}}).bias([]float32{2, 4}); !slices.Equal(got, []float32{4, 3, 2}) {
		t.Errorf("biases %v", got)
	}
}

// TestShared: tokens of other vocabularies are found whatever marks their words, exactly before in lower case, special ones by
// name and by role.
func TestShared(t *testing.T) {
	load := func(path string) tokenizers.Tokenizer {
		content, err := os.ReadFile(filepath.Join("..", "data", "tokenizers", "testdata", path))
		if err != nil {
			t.Fatal(err)
		}
		x, err := tokenizers.Load(content)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	before, after := load("bpe.tokenizer.json"), load("wordpiece.tokenizer.json")
	from, old, fresh := shared(before, after), tokenizers.Pieces(before), tokenizers.Pieces(after)
	found := map[string]string{}
	for id, o := range from {
		if o >= 0 {
			found[fresh[id].Text] = old[o].Text
		}
	}
	if found[" the"] != " the" {
		t.Errorf("\" the\" is %q", found[" the"])
	}
	for text, was := range found {
		if !strings.EqualFold(text, was) && !strings.HasPrefix(text, "[") {
			t.Errorf("%q is taken for %q", text, was)
		}
	}
	if to := found["[SEP]"]; to != "<|endoftext|>" {
		t.Errorf("[SEP] is %q, want what ended a document", to)
	}
	upper, lower := bpe(t, " Haus", " haus"), bpe(t, " haus", " HAUS")
	both := shared(upper, lower)
	texts, was := tokenizers.Pieces(lower), tokenizers.Pieces(upper)
	for id, o := range both {
		switch texts[id].Text {
		case " haus":
			if o < 0 || was[o].Text != " haus" {
				t.Errorf("\" haus\" is token %d", o)
			}
		case " HAUS":
			if o < 0 || was[o].Text != " Haus" {
				t.Errorf("\" HAUS\" is token %d", o)
			}
		}
	}
}

// TestFiles: ids that files name are those of the new vocabulary, and what names the old one is gone.
func TestFiles(t *testing.T) {
	before, after := bpe(t, " the", " a"), bpe(t, " a", " das", " the")
	end := before.VocabSize() - 1
	l := checkpoint(t, small(true), "language", before, map[string][]byte{
		"generation_config.json":  []byte(fmt.Sprintf(`{"eos_token_id":[%d,3],"bos_token_id":%d,"pad_token_id":99999,"temperature":0.5}`, end, end)),
		"tokenizer_config.json":   []byte(`{"added_tokens_decoder":{"1":{}},"model_max_length":32}`),
		"special_tokens_map.json": []byte(`{"eos_token":"<|endoftext|>"}`), "chat_template.jinja": []byte("{{ messages }}"),
	})
	s := DefaultSettings()
	s.Tokenizer, s.Start = after, "random"
	_, m := extended(t, l, s)
	text, err := m.Files.File("generation_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := float64(after.VocabSize() - 1)
	if ends, _ := got["eos_token_id"].([]any); len(ends) != 2 || ends[0] != want || ends[1] != 3.0 || got["bos_token_id"] != want || got["pad_token_id"] != nil || got["temperature"] != 0.5 {
		t.Errorf("generation_config.json: %s", text)
	}
	if text, _ := m.Files.File("tokenizer_config.json"); strings.Contains(string(text), "added_tokens_decoder") || !strings.Contains(string(text), "model_max_length") {
		t.Errorf("tokenizer_config.json: %s", text)
	}
	if _, err := m.Files.File("special_tokens_map.json"); err == nil {
		t.Error("special_tokens_map.json is still there")
	}
	if _, err := m.Files.File("chat_template.jinja"); err != nil {
		t.Error(err)
	}
	if m.Files.Manifest().Parent == nil {
		t.Error("the checkpoint has no parent")
	}
}

// TestEncoder: an encoder's words, whose head's bias has an entry for each, get the same treatment.
func TestEncoder(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "data", "tokenizers", "testdata", "wordpiece.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := tokenizers.Load(content)
	if err != nil {
		t.Fatal(err)
	}
	c := encoder.Default()
	c.DModel, c.NLayer, c.DFF, c.Attention.NHead = 16, 1, 24, 2
	l := checkpoint(t, c, "masked", before, nil)
	after, err := tokenizers.WithSpecials(before, []string{"[NEW]"})
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultSettings()
	s.Tokenizer, s.Start = after, "mean"
	_, m := extended(t, l, s)
	was, is := l.Session.Store().Get("cls.predictions.bias").Float32s(), m.Session.Store().Get("cls.predictions.bias").Float32s()
	if !slices.Equal(is[:len(was)], was) || len(is) != len(was)+1 {
		t.Errorf("%d biases, want %d of which the first are as they were", len(is), len(was)+1)
	}
}

// TestRefusals: what cannot be extended is one clear error.
func TestRefusals(t *testing.T) {
	before := bpe(t, " the", " house", " dog")
	l := checkpoint(t, small(true), "language", before, nil)
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"no vectors":       {func(s *Settings) { s.Words = nil }, "wants word vectors: name a file by --vectors FILE"},
		"another language": {func(s *Settings) { s.Words = fixed{"ж": {1, 2}} }, "tokens of the old vocabulary have one; want at least half"},
		"no words":         {func(s *Settings) { s.Words = fixed{} }, "there are no words"},
		"a start":          {func(s *Settings) { s.Start = "zero" }, `--init "zero" is unknown; want one of ofa, mean, gauss, random`},
		"rank":             {func(s *Settings) { s.Start, s.Rank = "mean", 17 }, "--rank 17 is out of range; want 1 to 16"},
		"temperature":      {func(s *Settings) { s.Temperature = 0 }, "temperature above 0"},
		"empty text":       {func(s *Settings) { s.Start, s.Text = "mean", func(func(string)) {} }, "the text to weigh tokens by is empty"},
	} {
		s := DefaultSettings()
		s.Tokenizer = bpe(t, " das")
		s.Words = fixed{"the": {1, 0}, "house": {0, 1}, "dog": {1, 1}}
		c.change(&s)
		if _, err := Run(context.Background(), l, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	s := DefaultSettings()
	s.Tokenizer, s.Start, s.Rank = bpe(t, " das"), "mean", 4
	_, low := extended(t, l, s)
	if _, err := Run(context.Background(), low, s); err == nil || !strings.Contains(err.Error(), "is in factors already") {
		t.Errorf("rank twice: %v", err)
	}
	s.Rank = 0
	if _, m := extended(t, low, s); m.Session.Store().Shape("model.embed_tokens.up.weight") == nil {
		t.Error("factors do not stay factors")
	}
}
