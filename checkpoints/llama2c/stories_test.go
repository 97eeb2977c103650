package llama2c

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A LLaMA written down from its equations, with nothing but what this package reads, tells the story that llama2.c tells:
// every weight is where its name says.
func TestStories260K(t *testing.T) {
	folder := os.Getenv("SPARROW_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	folder = filepath.Join(folder, "models", "stories260K")
	want, err := os.ReadFile(filepath.Join(folder, "expected-greedy.txt"))
	if err != nil {
		t.Skipf("no stories260K, TestReadsEveryVersion reads files of its form: %v", err)
	}
	f, err := Open(filepath.Join(folder, "stories260K.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pieces, err := OpenTokenizer(filepath.Join(folder, "tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := story{t: t, f: f, keys: make([][][]float64, f.Config.NLayer), values: make([][][]float64, f.Config.NLayer)}
	const first = 1 // the token that begins a text, and ends it
	prompt := append([]int{first}, encode(pieces, " Once upon a time")...)
	var text strings.Builder
	token := first
	for at := range 256 { // llama2.c's number of steps, the prompt's among them
		scores := s.step(token, at)
		if at+1 < len(prompt) {
			token = prompt[at+1]
		} else if token = slices.Index(scores, slices.Max(scores)); token == first {
			break
		}
		text.WriteString(strings.ReplaceAll(pieces[token].Text, "<0x0A>", "\n"))
	}
	if got := strings.TrimSpace(text.String()); got != strings.TrimSpace(string(want)) {
		t.Errorf("the story is\n%s\nwant\n%s", got, want)
	}
}

// encode merges characters into pieces, the pair of the best score first.
func encode(pieces []Piece, text string) (ids []int) {
	index := func(text string) int { return slices.IndexFunc(pieces, func(p Piece) bool { return p.Text == text }) }
	for _, r := range text {
		ids = append(ids, index(string(r)))
	}
	for {
		best, at := -1, 0
		for i := range len(ids) - 1 {
			id := index(pieces[ids[i]].Text + pieces[ids[i+1]].Text)
			if id >= 0 && (best < 0 || pieces[id].Score > pieces[best].Score) {
				best, at = id, i
			}
		}
		if best < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, best)
	}
}

type story struct {
	t            *testing.T
	f            *File
	keys, values [][][]float64 // by layer and position
}

func (s *story) weight(name string) []float32 {
	w, ok := s.f.Tensor(name + ".weight")
	if !ok {
		s.t.Fatalf("%s is missing", name)
	}
	values, err := w.Values()
	if err != nil {
		s.t.Fatal(err)
	}
	return values
}

func (s *story) linear(name string, x []float64) []float64 {
	w := s.weight(name)
	y := make([]float64, len(w)/len(x))
	for i := range y {
		for j, v := range x {
			y[i] += float64(w[i*len(x)+j]) * v
		}
	}
	return y
}

func (s *story) norm(name string, x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	r := 1 / math.Sqrt(sum/float64(len(x))+1e-5)
	y := make([]float64, len(x))
	for i, g := range s.weight(name) {
		y[i] = x[i] * r * float64(g)
	}
	return y
}

// rotate turns neighbouring pairs of each head.
func rotate(x []float64, head, at int) {
	for i := 0; i < len(x); i += 2 {
		sin, cos := math.Sincos(float64(at) * math.Pow(10000, -float64(i%head)/float64(head)))
		x[i], x[i+1] = x[i]*cos-x[i+1]*sin, x[i]*sin+x[i+1]*cos
	}
}

// step returns the scores of the token after the one at position at.
func (s *story) step(token, at int) []float64 {
	c := s.f.Config
	head := c.DModel / c.NHead
	x := make([]float64, c.DModel)
	for i, v := range s.weight("tok_embeddings")[token*c.DModel : (token+1)*c.DModel] {
		x[i] = float64(v)
	}
	add := func(y []float64) {
		for i, v := range y {
			x[i] += v
		}
	}
	for l := range c.NLayer {
		name := func(n string) string { return inLayer(l, n) }
		h := s.norm(name("attention_norm"), x)
		q, k := s.linear(name("attention.wq"), h), s.linear(name("attention.wk"), h)
		rotate(q, head, at)
		rotate(k, head, at)
		s.keys[l] = append(s.keys[l], k)
		s.values[l] = append(s.values[l], s.linear(name("attention.wv"), h))
		mixed := make([]float64, c.DModel)
		for i := range c.NHead {
			from := i / (c.NHead / c.NKVHead) * head // heads that share keys
			weights := make([]float64, at+1)
			var total float64
			for p, key := range s.keys[l] {
				var dot float64
				for j := range head {
					dot += q[i*head+j] * key[from+j]
				}
				weights[p] = math.Exp(dot / math.Sqrt(float64(head)))
				total += weights[p]
			}
			for p, value := range s.values[l] {
				for j := range head {
					mixed[i*head+j] += weights[p] / total * value[from+j]
				}
			}
		}
		add(s.linear(name("attention.wo"), mixed))
		h = s.norm(name("ffn_norm"), x)
		gate, up := s.linear(name("feed_forward.w1"), h), s.linear(name("feed_forward.w3"), h)
		for i, g := range gate {
			up[i] *= g / (1 + math.Exp(-g))
		}
		add(s.linear(name("feed_forward.w2"), up))
	}
	return s.linear("tok_embeddings", s.norm("norm", x)) // tied
}
