package interchange_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/interchange"
	"sparrow/model"
	"sparrow/nn"
)

// golden is what transformers computes with a model of testdata/golden.py.
type golden struct {
	Rows   [][]int   `json:"rows"`
	Types  [][]int   `json:"types"`
	Output string    `json:"output"` // logits or states
	Shape  []int     `json:"shape"`
	Values []float64 `json:"values"`

	// What the loss of gradients.safetensors has: a token or class for each row, where -100 counts nothing, or a number; places are
	// those of a masked language model.
	Targets [][]int   `json:"targets"`
	Truth   []float64 `json:"truth"`
	Places  []int     `json:"places"`

	Pixels []float32 `json:"pixels,omitempty"` // of a test: [B*H*W, C]
}

func readGolden(t *testing.T, dir string) (g golden) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func goldens(t *testing.T) []string {
	dirs, err := filepath.Glob("testdata/models/*")
	if err != nil || len(dirs) < 21 {
		t.Fatalf("%d models, %v; want those of testdata/golden.py", len(dirs), err)
	}
	return dirs
}

// TestGolden: every family gives what transformers gives, for padded texts and for texts of their own.
func TestGolden(t *testing.T) {
	for _, dir := range goldens(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, store := imported(t, dir)
			checkGolden(t, dir, m, store)
		})
	}
}

// imported is a model with its arrays in a store.
func imported(t *testing.T, path string) (*interchange.Model, *nn.Store) {
	t.Helper()
	s, err := interchange.Open(path, interchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m, sessionOf(t, m).Store()
}

// sessionOf runs a model with its arrays.
func sessionOf(t *testing.T, m *interchange.Model) *model.Session {
	t.Helper()
	arrays, err := m.Arrays(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Network.NewSession(m.Dims, nn.NewStore(tensor.Float32), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s.Store(), arrays)
	return s
}

func fill(t *testing.T, store *nn.Store, arrays []checkpoints.Array) {
	t.Helper()
	if len(arrays) != len(store.Names()) {
		t.Fatalf("%d arrays, the network has %d", len(arrays), len(store.Names()))
	}
	for _, a := range arrays {
		copy(store.Get(a.Name).Float32s(), a.Data.([]float32))
	}
}

func checkGolden(t *testing.T, dir string, m *interchange.Model, store *nn.Store) {
	t.Helper()
	want := readGolden(t, dir)
	session, err := m.Network.NewSession(m.Dims, store, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want.Output == "images" {
		checkImages(t, dir, m, session, want)
		return
	}
	width := want.Shape[len(want.Shape)-1]
	long := len(want.Rows[0])
	all := outputs(t, session, m, want.Rows, want.Types, long)
	for i, row := range want.Rows {
		types := want.Types
		if types != nil {
			types = [][]int{want.Types[i][:len(row)]}
		}
		alone := outputs(t, session, m, [][]int{row}, types, len(row))
		n, at := len(row), i*long*width
		if len(want.Shape) == 2 {
			n, at = 1, i*width
		}
		close := func(what string, got []float64, want []float64) {
			t.Helper()
			for j, x := range want {
				if !(math.Abs(got[j]-x) <= 1e-4) {
					t.Fatalf("row %d, %s: value %d is %v, transformers has %v", i, what, j, got[j], x)
				}
			}
		}
		close("padded", all[i*len(all)/len(want.Rows):], want.Values[at:at+n*width])
		close("alone", alone, want.Values[at:at+n*width])
	}
}

// outputs are the scores of a language model, of every token; of a classifier, of each text; and of a sentence encoder its
// states, picked one by one by their shares.
func outputs(t *testing.T, s *model.Session, m *interchange.Model, rows, types [][]int, length int) []float64 {
	t.Helper()
	shape := model.Shape{Rows: len(rows), Length: length}
	language := m.Dims.Outputs() == 0 && m.Task != "sentence"
	var sites []string
	if language {
		sites = []string{"logits"}
	}
	p, err := s.Program(model.Score, shape, sites...)
	if err != nil {
		t.Fatal(err)
	}
	tokens, lengths, kinds := padded(rows, types, length)
	p.Feed(map[string][]int{"tokens": tokens})
	if p.Has("lengths") {
		p.Feed(map[string][]int{"lengths": lengths})
	}
	if m.Network.Types() > 0 && p.Has("types") {
		p.Feed(map[string][]int{"types": kinds})
	}
	switch {
	case language && !p.Has("rows"):
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Site("logits").Float64s()
	case language: // a masked language model scores some tokens a run
		var all []float64
		n := len(p.Ints("rows"))
		for first := 0; first < len(tokens); first += n {
			ids := make([]int, n)
			for j := range ids {
				ids[j] = min(first+j, len(tokens)-1)
			}
			p.Feed(map[string][]int{"rows": ids})
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			x := p.Site("logits").Float64s()
			all = append(all, x[:min(n, len(tokens)-first)*len(x)/n]...)
		}
		return all
	case m.Dims.Outputs() > 0:
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Output("logits").Float64s()
	}
	states := make([][]float64, len(tokens))
	for j := range length {
		shares := make([]float32, len(tokens))
		for i := range rows {
			shares[i*length+j] = 1
		}
		p.Floats("shares").Set(shares)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		x, width := p.Output("embedding").Float64s(), p.Output("embedding").Width
		for i := range rows {
			states[i*length+j] = x[i*width : (i+1)*width]
		}
	}
	return slices.Concat(states...)
}

// padded are the leaves of texts of one length.
func padded(rows, types [][]int, length int) (tokens, lengths, kinds []int) {
	tokens, lengths, kinds = make([]int, len(rows)*length), make([]int, len(rows)), make([]int, len(rows)*length)
	for i, r := range rows {
		copy(tokens[i*length:], r)
		lengths[i] = len(r)
		if types != nil {
			copy(kinds[i*length:], types[i])
		}
	}
	return tokens, lengths, kinds
}
