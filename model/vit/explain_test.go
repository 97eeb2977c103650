package vit_test

import (
	"math"
	"slices"
	"testing"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/model/vit"
)

// TestExplain: the gradient is that of the loss by differences, and attention and rollout are those of a loop over the whole matrices.
func TestExplain(t *testing.T) {
	for name, kind := range map[string]func(*attention.Config){
		"mha": func(*attention.Config) {},
		"gqa": func(c *attention.Config) { c.OneOf, c.NHead, c.NKVHead = attention.As(attention.GQA{}), 4, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			c := small()
			c.NLayer = 3
			kind(&c.Attention)
			store, p := drawn(t, c, model.Score, nil)
			n := classifier(c)
			pixels := make([]float32, 4*4*2)
			for i := range pixels {
				pixels[i] = float32(math.Sin(float64(i*i%101))) * 0.5
			}
			x, err := vit.Explain(n, store, model.Options{}, pixels)
			if err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				both := append(slices.Clone(pixels), pixels...)
				p.Floats("pixels").Set(both)
				for i := range p.Ints("targets") {
					p.Ints("targets")[i] = x.Class
				}
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				return p.Loss() / 2
			}
			loss()
			if got := p.Output("logits").Float64s()[:3]; !slices.Equal(got, x.Logits) || got[x.Class] != slices.Max(got) {
				t.Errorf("scores %v of class %d, scored %v", x.Logits, x.Class, got)
			}
			const h = 1.0 / 1024 // exact in float32
			for i, v := range pixels {
				pixels[i] = v + h
				up, above := loss(), float64(pixels[i])
				pixels[i] = v - h
				down, below := loss(), float64(pixels[i])
				pixels[i] = v
				want := (up - down) / (above - below)
				if got := x.Gradient[i]; math.Abs(got-want) > 1e-6+1e-4*math.Abs(want) {
					t.Errorf("gradient of value %d: %v, by differences %v", i, got, want)
				}
			}
			s, err := model.NewSession(n, store, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			one, err := s.Program(model.Score, n.Least(), "*.query", "*.key", "vit.encoder.layer.*.attention.*")
			if err != nil {
				t.Fatal(err)
			}
			one.Floats("pixels").Set(pixels)
			if err := one.Run(); err != nil {
				t.Fatal(err)
			}
			const tokens = 5
			product := identity(tokens)
			for l := range c.NLayer {
				name := "vit.encoder.layer." + string(rune('0'+l)) + ".attention."
				q, k := one.Site(name+"query"), one.Site(name+"key")
				heads := c.Attention.NHead
				width := q.Width / heads
				a := make([]float64, tokens*tokens)
				for head := range heads {
					shared := head * (k.Width / width) / heads
					for i := range tokens {
						var e [tokens]float64
						sum := 0.0
						for j := range tokens {
							dot := 0.0
							for d := range width {
								dot += q.At(i, head*width+d) * k.At(j, shared*width+d)
							}
							e[j] = math.Exp(dot / math.Sqrt(float64(width)))
							sum += e[j]
						}
						for j := range tokens {
							a[i*tokens+j] += e[j] / sum / float64(heads)
						}
					}
				}
				near(t, "attention", x.Attention[l], a[1:tokens])
				// Later blocks multiply from the left.
				next := make([]float64, tokens*tokens)
				for i := range tokens {
					for j := range tokens {
						for m := range tokens {
							half := a[i*tokens+m] / 2
							if m == i {
								half += 0.5
							}
							next[i*tokens+j] += half * product[m*tokens+j]
						}
					}
				}
				product = next
			}
			near(t, "rollout", x.Rollout, product[1:tokens])
			if _, err := vit.Explain(n, store, model.Options{}, pixels[1:]); err == nil {
				t.Error("an image of another size is explained")
			}
		})
	}
}

func identity(n int) []float64 {
	m := make([]float64, n*n)
	for i := range n {
		m[i*n+i] = 1
	}
	return m
}

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}
