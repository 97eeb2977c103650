package op

import (
	"fmt"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// BenchmarkSparseLowRank times one layer, forward and backward, in both modes
// and dense: the figures behind FactoredPays.
func BenchmarkSparseLowRank(b *testing.B) {
	for _, c := range []struct{ n, in, out, rank, percent int }{
		{2048, 512, 1376, 128, 3}, {2048, 768, 2048, 256, 3}, {512, 256, 688, 32, 3},
		{1024, 512, 512, 256, 3}, {1024, 512, 512, 128, 10}, {1024, 768, 768, 256, 10}, {1024, 768, 2048, 256, 10},
	} {
		nonzeros := c.in * c.out * c.percent / 100
		run := func(name string, s subject) {
			b.Run(fmt.Sprintf("%dx%dx%d/r%d/%d%%/%s", c.n, c.in, c.out, c.rank, c.percent, name), func(b *testing.B) {
				defer kernel.SetThreads(kernel.Threads())
				kernel.SetThreads(1)
				m := s.compile(b, tensor.Float32)
				m.plan.Bind(m.arena)
				for b.Loop() {
					if err := m.tape.Run(m.vm); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("dense", linearOf("dense", c.n, c.in, c.out, false))
		for _, mode := range []string{"materialized", "factored"} {
			run(mode, sparseOf(c.n, c.in, c.out, c.rank, nonzeros, mode, false, false).subject)
		}
	}
}
