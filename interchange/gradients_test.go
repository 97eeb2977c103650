package interchange_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/interchange"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// TestGradients: the gradient of every array is that of transformers, 1e-4 of it by norm.
func TestGradients(t *testing.T) {
	for _, dir := range goldens(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, store := imported(t, dir)
			grads := nn.NewGradients(store)
			s, err := m.Network.NewSession(m.Dims, store, model.Options{Sink: grads})
			if err != nil {
				t.Fatal(err)
			}
			runLoss(t, s, m, dir)
			want := gradientsOf(t, dir)
			if !slices.Equal(want.Names(), store.Names()) {
				t.Fatalf("gradients of %v, want of %v", want.Names(), store.Names())
			}
			for _, name := range store.Names() {
				w := want.Get(name).Float32s()
				got := make([]float32, len(w)) // zeros of an array that the loss does not depend on
				if g := grads.Get(name); g != nil {
					got = g.Float32s()
				}
				var off, norm float64
				for i, x := range w {
					off += math.Pow(float64(got[i]-x), 2)
					norm += math.Pow(float64(x), 2)
				}
				if off, norm = math.Sqrt(off), math.Sqrt(norm); !(off <= 1e-4*norm+1e-6) {
					t.Errorf("%s differs by %.3g of %.3g", name, off, norm)
				}
			}
		})
	}
}

// gradientsOf are those beside a model, by the names of this project: they are read as its weights are.
func gradientsOf(t *testing.T, dir string) *nn.Store {
	t.Helper()
	temp := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		from, to := f.Name(), f.Name()
		switch from {
		case "model.safetensors":
			continue
		case "gradients.safetensors":
			to = "model.safetensors"
		}
		content, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(temp, to), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, store := imported(t, temp)
	return store
}

// runLoss runs the loss that golden.py has, forward and backward.
func runLoss(t *testing.T, s *model.Session, m *interchange.Model, dir string) {
	t.Helper()
	want := readGolden(t, dir)
	shape := model.Shape{Rows: 2, Height: m.Dims.ImageSize, Width: m.Dims.ImageSize}
	if want.Output != "images" {
		shape = model.Shape{Rows: len(want.Rows), Length: len(want.Rows[0])}
	}
	p, err := s.Program(model.Calibrate, shape)
	if err != nil {
		t.Fatal(err)
	}
	var targets []int
	for _, row := range want.Targets {
		for _, x := range row {
			if x == -100 {
				x = op.Ignored
			}
			targets = append(targets, x)
		}
	}
	switch {
	case want.Output == "images":
		p.Floats("pixels").Set(pixels(t, dir, m))
		shares := make([]float32, 2*m.Dims.Classes)
		for i, class := range targets {
			shares[i*m.Dims.Classes+class] = 1
		}
		p.Floats("distribution").Set(shares)
	default:
		tokens, lengths, kinds := padded(want.Rows, want.Types, shape.Length)
		p.Feed(map[string][]int{"tokens": tokens})
		if p.Has("lengths") {
			p.Feed(map[string][]int{"lengths": lengths})
		}
		if want.Types != nil {
			p.Feed(map[string][]int{"types": kinds})
		}
		if want.Places != nil {
			p.Feed(map[string][]int{"rows": want.Places})
		}
		if want.Truth != nil {
			for i, x := range want.Truth {
				p.Floats("truth").Put(i, 0, x)
			}
			targets = make([]int, len(want.Truth))
		}
		if want.Output == "states" { // the mean of each text's
			shares := make([]float32, len(tokens))
			for i, n := range lengths {
				for j := range n {
					shares[i*shape.Length+j] = 1 / float32(n)
				}
			}
			p.Floats("shares").Set(shares)
		}
		p.Feed(map[string][]int{"targets": targets})
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
}
