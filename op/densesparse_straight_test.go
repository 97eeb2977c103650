package op

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// straightSubject is a layer with both kinds of latent values beside its own parameters.
func straightSubject(c denseSparseCase) subject {
	s := c.subject()
	vectors, blocks := c.vectors, len(c.nonzeros)
	s.floats["product"] = normal(source(), vectors, c.side())
	s.floats["coefficients"] = normal(source(), blocks*vectors, c.atoms)
	index := c.index()
	s.build = func(g *graph) *G.Node {
		x, product, coefficients := g.x("x"), g.p("product"), g.p("coefficients")
		l := DenseSparse{Dictionary: g.p("dictionary"), Values: g.p("values"), Index: index, Nonzeros: c.nonzeros, Atoms: c.atoms, Outputs: c.outputs, Mode: c.mode,
			Product: &product, Coefficients: &coefficients}
		if c.bias {
			b := g.p("b")
			l.Bias = &b
		}
		return DenseSparseLinear(x, l)
	}
	return s
}

// TestDenseSparseStraightThrough: the layer computes as without latent values and its own gradients are the same, bit for
// bit; the latent product gets the gradient of a dense layer's weight W = C D; latent coefficients get that times Dᵀ at
// every place, which at the places of the values is the values' own.
func TestDenseSparseStraightThrough(t *testing.T) {
	for _, mode := range denseSparseModes {
		for _, c := range denseSparseCases(mode) {
			t.Run(c.String(), func(t *testing.T) {
				without := c.subject().compile(t, tensor.Float64).result(t)
				m := straightSubject(c).compile(t, tensor.Float64)
				got := m.result(t)
				same(t, "y", got.y, without.y, 0)
				for name, g := range without.grads {
					same(t, "d"+name, got.grads[name], g, 0)
				}
				p := c.productGrad(t)
				same(t, "dproduct", got.grads["product"], p, 1e-12)
				want := c.coefficientGrad(p)
				same(t, "dcoefficients", got.grads["coefficients"], want, 1e-12)
				first, at := 0, 0
				for g, k := range c.nonzeros {
					for row := first; row < first+k; row++ {
						for i := range c.vectors {
							straight := got.grads["coefficients"][(g*c.vectors+i)*c.atoms+int(c.index()[at])]
							if exact := got.grads["values"][at]; math.Abs(straight-exact) > 1e-12*(1+math.Abs(exact)) {
								t.Fatalf("block %d, vector %d: latent gradient %g at a chosen atom, want the value's own, %g", g, i, straight, exact)
							}
							at++
						}
					}
					first += k
				}
				m.sink.add = true
				if err := m.tape.Run(m.vm); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"product", "coefficients"} {
					twice := make([]float64, len(got.grads[name]))
					for i, x := range got.grads[name] {
						twice[i] = 2 * x
					}
					same(t, "twice d"+name, float64s(m.sink.grads[name]), twice, runTolerance)
				}
			})
		}
	}
}

// productGrad is dL/d(C D) [V, side] by a dense layer of that weight.
func (c denseSparseCase) productGrad(t *testing.T) []float64 {
	t.Helper()
	sparse := c.subject()
	s := subject{name: "dense", floats: map[string]array{"x": sparse.floats["x"], "w": {[]int{c.out(), c.in()}, c.weight(sparse)}}}
	if c.bias {
		s.floats["b"] = sparse.floats["b"]
	}
	s.build = func(g *graph) *G.Node {
		x, w := g.x("x"), g.p("w")
		if !c.bias {
			return Linear(x, w, nil)
		}
		b := g.p("b")
		return Linear(x, w, &b)
	}
	dw := s.compile(t, tensor.Float64).result(t).grads["w"]
	if !c.outputs {
		return dw
	}
	p := make([]float64, len(dw))
	for i := range c.out() {
		for j := range c.in() {
			p[j*c.out()+i] = dw[i*c.in()+j]
		}
	}
	return p
}

// coefficientGrad is P_g D_gᵀ [G V, K], entry by entry.
func (c denseSparseCase) coefficientGrad(p []float64) []float64 {
	var all []float64
	dictionary := c.subject().floats["dictionary"].data
	for g := range c.nonzeros {
		d := dictionary
		if !c.shared {
			d = dictionary[g*c.atoms*c.block:]
		}
		for i := range c.vectors {
			for k := range c.atoms {
				sum := 0.0
				for j := range c.block {
					sum += p[i*c.side()+g*c.block+j] * d[k*c.block+j]
				}
				all = append(all, sum)
			}
		}
	}
	return all
}
