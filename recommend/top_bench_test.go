package recommend

import (
	"math/rand/v2"
	"testing"

	"sparrow/kernel"
)

// BenchmarkTop is the ten best of 100,000 items by 64 factors for one user, on one thread.
func BenchmarkTop(b *testing.B) {
	threads := kernel.Threads()
	kernel.SetThreads(1)
	defer kernel.SetThreads(threads)
	const items, d = 100_000, 64
	r := rand.New(rand.NewPCG(1, 2))
	v, u := make([]float32, items*d), make([]float32, d)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	copy(u, v[:d])
	f := Factors{D: d, N: items, V: v, Vector: func(dst []float32, _ Who) error { copy(dst, u); return nil }}
	scores := make([]float32, items)
	for b.Loop() {
		if err := f.Score(scores, []Who{{}}); err != nil {
			b.Fatal(err)
		}
		if got := Top(scores, 10, nil, nil); got[0].Item != 0 {
			b.Fatal(got)
		}
	}
}
