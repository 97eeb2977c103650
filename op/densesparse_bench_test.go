package op

import (
	"fmt"
	"slices"
	"testing"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// sharedAt28 is a layer of one shared dictionary of blocks of 16 with 2.8 times fewer bytes than a dense one of float32
// values, indices of ceil(log2 K) bits counted: the recipe's 2.8x point.
func sharedAt28(n, in, out, atoms int, outputs bool) denseSparseCase {
	const block = 16
	c := denseSparseCase{n: n, vectors: out, block: block, atoms: atoms, outputs: outputs, shared: true}
	side, bits := in, 0
	if outputs {
		c.vectors, side = in, out
	}
	for 1<<bits < atoms {
		bits++
	}
	rows := int((4*float64(in*out)/2.8 - float64(4*atoms*block)) / (float64(c.vectors) * (4 + float64(bits)/8)))
	blocks := side / block
	for g := range blocks {
		c.nonzeros = append(c.nonzeros, (g+1)*rows/blocks-g*rows/blocks)
	}
	return c
}

// inference is the forward pass of several layers of one kind over the same rows: more than the caches hold, as in a
// network that decodes.
func inference(b *testing.B, s subject, layers int) func() {
	g := s.operands(tensor.Float32)
	g.tape = NewTape(tensor.Float32, false)
	var all G.Nodes
	for range layers {
		// Each layer has weights of its own.
		for name, value := range g.floats {
			g.floats[name] = value.Clone().(*tensor.Dense)
		}
		all = append(all, s.build(g))
	}
	plan, err := g.tape.Plan(false, all...)
	if err != nil {
		b.Fatal(err)
	}
	plan.Bind(&Arena{})
	vm := G.NewTapeMachine(g.tape.Graph)
	return func() {
		if err := g.tape.Run(vm); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDenseSparse times dense and dense-sparse layers in turn at the 2.8x point, with the kernels' threads: "ratio" is
// the median of the dense layer's time over the other's, "ns/layer" the median of the latter.
func BenchmarkDenseSparse(b *testing.B) {
	for _, size := range [][2]int{{768, 768}, {768, 3072}} {
		in, out := size[0], size[1]
		for _, n := range []int{1, 8, 32, 128, 4096} {
			layers := 1
			if n < 128 {
				layers = 64 << 20 / (4 * in * out)
			}
			var dense func()
			for _, atoms := range []int{64, 128} {
				for _, outputs := range []bool{false, true} {
					for _, mode := range denseSparseModes {
						if mode == "factored" && n > 128 {
							continue
						}
						b.Run(fmt.Sprintf("%dx%d/%d rows/k%d/outputs=%v/%s", in, out, n, atoms, outputs, mode), func(b *testing.B) {
							c := sharedAt28(n, in, out, atoms, outputs)
							c.mode = mode
							sparse := inference(b, c.subject(), layers)
							if dense == nil {
								dense = inference(b, linearOf("dense", n, in, out, false), layers)
							}
							var ratios, times []float64
							for b.Loop() {
								start := time.Now()
								dense()
								d := time.Since(start)
								start = time.Now()
								sparse()
								e := time.Since(start)
								ratios = append(ratios, float64(d)/float64(e))
								times = append(times, float64(e)/float64(layers))
							}
							b.ReportMetric(median(ratios), "ratio")
							b.ReportMetric(median(times), "ns/layer")
						})
					}
				}
			}
		}
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
