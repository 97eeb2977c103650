package model

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
)

// BenchmarkDecodeDenseSparse times a token of a decoder with 25 million weights in its blocks, one sequence, dense and
// dense-sparse in turn: "ratio" is the median of the dense one's time over the other's, "smaller" that of the blocks' bytes.
func BenchmarkDecodeDenseSparse(b *testing.B) {
	const width, hidden, block = 512, 1376, 16
	session := func(linear []nn.LinearConfig) (*Session, func() error) {
		cfg := DefaultConfig()
		cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Linear = width, 8, hidden, linear
		cfg.Attention.NHead = 8
		s, err := NewSession(cfg, Dims{VocabSize: 4096, Context: 256}, nn.NewStore(tensor.Float32), Options{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		step, err := s.DecodeAfter(1, 64)
		if err != nil {
			b.Fatal(err)
		}
		return s, step
	}
	bytes := func(s *Session) (n int) {
		for _, name := range s.Store().Layers() {
			if l := s.Store().Layer(name); name != "lm_head" {
				n += 4*l.Parameters() + l.IndexBytes()
			}
		}
		return n
	}
	fill := func(side, tenths int) (nonzeros []int) { // tenths of nonzeros in the mean
		for g := range side / block {
			nonzeros = append(nonzeros, (g+1)*tenths/10-g*tenths/10)
		}
		return nonzeros
	}
	large, dense := session(nil)
	defer kernel.SetThreads(kernel.Threads())
	for _, threads := range []int{1, 2} {
		for _, c := range []struct{ atoms, tenths int }{{64, 47}, {128, 45}} {
			b.Run(fmt.Sprintf("k%d/%d threads", c.atoms, threads), func(b *testing.B) {
				kernel.SetThreads(threads)
				table := func(match string, side int) nn.LinearConfig {
					return nn.LinearConfig{Match: match, Kind: "dense_sparse", Block: block, Atoms: c.atoms, Nonzeros: fill(side, c.tenths), Shared: true}
				}
				s, sparse := session([]nn.LinearConfig{table("model.layers.*", width), table("*.down_proj", hidden)})
				var ratios []float64
				for b.Loop() {
					var times [2]time.Duration
					for i, step := range []func() error{dense, sparse} {
						start := time.Now()
						if err := step(); err != nil {
							b.Fatal(err)
						}
						times[i] = time.Since(start)
					}
					ratios = append(ratios, float64(times[0])/float64(times[1]))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(float64(bytes(large))/float64(bytes(s)), "smaller")
			})
		}
	}
}
