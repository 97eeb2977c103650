package encoder_test

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/op"
)

// small6 is an encoder whose gradients are quick to check.
func small6() encoder.Config {
	c := encoder.Default()
	c.DModel, c.NLayer, c.Context, c.InitStd, c.Dropout = 6, 1, 5, 0.5, 0
	c.Attention.NHead = 2
	return c
}

// differences compares every third gradient with central differences of the loss that run computes.
func differences(t *testing.T, store *nn.Store, grads *nn.Gradients, run func() float64) {
	t.Helper()
	const step, tolerance = 1e-5, 1e-6
	run()
	got := map[string][]float64{}
	for _, name := range store.Names() {
		if g := grads.Get(name); g != nil {
			got[name] = append([]float64(nil), g.Float64s()...)
		}
	}
	checked, large := 0, 0.0
	for name, gradient := range got {
		values := store.Get(name).Float64s()
		for i := 0; i < len(values); i += 3 {
			x := values[i]
			values[i] = x + step
			up := run()
			values[i] = x - step
			down := run()
			values[i] = x
			want := (up - down) / (2 * step)
			if math.Abs(gradient[i]-want) > tolerance*(1+math.Abs(want)) {
				t.Errorf("%s[%d]: gradient %v, by differences %v", name, i, gradient[i], want)
			}
			checked++
			large = max(large, math.Abs(want))
		}
	}
	if checked < 100 || large < 1e-3 {
		t.Errorf("%d gradients were checked, the largest %v", checked, large)
	}
}

// TestCandidates: both heads and both losses, against loops over the scores, and their gradients by differences; a list that is none
// counts nothing.
func TestCandidates(t *testing.T) {
	const lists, count, length = 2, 3, 5
	for _, head := range []string{"cls", "emb"} {
		for _, loss := range []string{"softmax", "binary"} {
			t.Run(head+" "+loss, func(t *testing.T) {
				c := small6()
				c.Ranking = &encoder.Ranking{Head: head, Loss: loss}
				store := nn.NewStore(tensor.Float64)
				n, ok := c.Candidates(model.Text{Vocab: 9, Length: length, Types: c.Types()})
				if !ok {
					t.Fatal("no network of candidates")
				}
				n.Count = count
				grads := nn.NewGradients(store)
				s, err := model.NewSession(n, store, model.Options{Seed: 3, Sink: grads})
				if err != nil {
					t.Fatal(err)
				}
				const rows = (lists + 1) * count
				run := func(m model.Mode) *model.Program {
					p, err := s.Program(m, model.Shape{Rows: rows, Length: length})
					if err != nil {
						t.Fatal(err)
					}
					tokens, types, lengths := make([]int, rows*length), make([]int, rows*length), make([]int, rows)
					query, item := make([]float32, rows*length), make([]float32, rows*length)
					for row := range rows {
						lengths[row] = 3 + row%3
						for i := range lengths[row] {
							tokens[row*length+i] = (4*row + 3*i) % 9
							if i >= 2 {
								types[row*length+i] = 1
								item[row*length+i] = 1 / float32(lengths[row]-2)
							} else {
								query[row*length+i] = 0.5
							}
						}
					}
					p.Feed(map[string][]int{"tokens": tokens, "types": types, "lengths": lengths})
					if p.Has("query") {
						p.Floats("query").Set(query)
						p.Floats("item").Set(item)
					}
					if p.Has("targets") {
						p.Feed(map[string][]int{"targets": {0, 0, op.Ignored}})
					}
					if err := p.Run(); err != nil {
						t.Fatal(err)
					}
					return p
				}
				scores, want := run(model.Score).Output("logits").Float64s(), 0.0
				counted := lists
				if loss == "binary" {
					counted++ // it leaves none out
				}
				for l := range counted {
					list := scores[l*count : (l+1)*count]
					if loss == "softmax" {
						sum := 0.0
						for _, x := range list {
							sum += math.Exp(x)
						}
						want += math.Log(sum) - list[0]
						continue
					}
					want += (count - 1) * math.Log1p(math.Exp(-list[0]))
					for _, x := range list[1:] {
						want += math.Log1p(math.Exp(x))
					}
				}
				if got := run(model.Train).Loss(); math.Abs(got-want) > 1e-9 {
					t.Fatalf("loss %v, want %v", got, want)
				}
				differences(t, store, grads, func() float64 { return run(model.Train).Loss() })
			})
		}
	}
}

// TestContrast: the loss of pairs that mean the same is InfoNCE both ways, those without a mark left out, as loops over the vectors have
// it, and its gradients are those of differences.
func TestContrast(t *testing.T) {
	const pairs, length, temperature = 4, 5, 0.3
	c := small6()
	c.Sentence = &encoder.Sentence{Pooling: "mean", Temperature: new(float64)}
	*c.Sentence.Temperature = temperature
	store := nn.NewStore(tensor.Float64)
	n, _ := c.Sentences(model.Text{Vocab: 9, Length: length, Types: c.Types()})
	grads := nn.NewGradients(store)
	s, err := model.NewSession(n, store, model.Options{Seed: 3, Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	run := func(m model.Mode) *model.Program {
		p, err := s.Program(m, model.Shape{Rows: 2 * pairs, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		tokens, lengths, shares := make([]int, 2*pairs*length), make([]int, 2*pairs), make([]float32, 2*pairs*length)
		for row := range 2 * pairs {
			lengths[row] = 2 + row%4
			for i := range lengths[row] {
				tokens[row*length+i] = (3*row + 2*i) % 9
			}
			c.Sentence.Weights(shares[row*length:(row+1)*length], lengths[row])
		}
		p.Feed(map[string][]int{"tokens": tokens, "lengths": lengths, "types": make([]int, 2*pairs*length), "targets": {0, op.Ignored, 0, 0}})
		p.Floats("shares").Set(shares)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	x := run(model.Score).Output("embedding").Float64s()
	cosine := func(i, j int) float64 {
		var ab, aa, bb float64
		for k := range 6 {
			a, b := x[2*i*6+k], x[(2*j+1)*6+k]
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		return ab / math.Sqrt(aa*bb) / temperature
	}
	want := 0.0
	for _, i := range []int{0, 2, 3} {
		var across, down float64
		for _, j := range []int{0, 2, 3} {
			across, down = across+math.Exp(cosine(i, j)), down+math.Exp(cosine(j, i))
		}
		want += (math.Log(across)+math.Log(down))/2 - cosine(i, i)
	}
	if got := run(model.Train).Loss(); math.Abs(got-want) > 1e-9 {
		t.Fatalf("loss %v, want %v", got, want)
	}
	differences(t, store, grads, func() float64 { return run(model.Train).Loss() })
}
