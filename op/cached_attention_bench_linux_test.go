package op

import (
	"math"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// BenchmarkCachedAttention is one layer's attention of one new token after 16,384
// others, at one thread: how fast it reads the cache and how fast it computes, and
// the same of kernel.Sum over as many bytes, which nothing that reads them exceeds by
// much. The subjects take turns; times are the least processor time of a turn,
// because others may use the machine.
//
//	go test ./op -run '^$' -bench CachedAttention -benchtime 20x
func BenchmarkCachedAttention(b *testing.B) {
	const past, batch = 16384, 1
	defer kernel.SetThreads(0)
	kernel.SetThreads(1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	rotary := NewRotaryTable(128, past+1, 10000, tensor.Float32)
	subjects := []*cacheBench{
		newCacheBench("mha", 8, batch, past, CacheLayout{KVHeads: 8, KeyDim: 64, ValueDim: 64}),
		newCacheBench("gqa", 8, batch, past, CacheLayout{KVHeads: 2, KeyDim: 64, ValueDim: 64}),
		newCacheBench("mla", 8, batch, past, CacheLayout{KVHeads: 1, KeyDim: 160, ValueDim: 128, Shared: true}),
		newCacheBench("mfa", 8, batch, past, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128}),
		newCacheBench("mfa-kr", 8, batch, past, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128, Shared: true, Rotary: rotary}),
		newCacheBench("mha-int8", 8, batch, past, CacheLayout{KVHeads: 8, KeyDim: 64, ValueDim: 64, Int8: true}),
		newCacheBench("mfa-int8", 8, batch, past, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128, Int8: true}),
		newCacheBench("mfa-kr-int8", 8, batch, past, CacheLayout{KVHeads: 1, KeyDim: 128, ValueDim: 128, Shared: true, Rotary: rotary, Int8: true}),
	}
	flush := kernel.Large[float32](16 << 20) // 64 MiB, read between turns: the caches come from memory
	for i := range flush {
		flush[i] = 1
	}
	sum := math.Inf(1)
	b.ResetTimer()
	for range b.N {
		for _, s := range subjects {
			sum = min(sum, threadTime(func() { kernel.Sum(flush) }))
			s.least = min(s.least, threadTime(func() {
				if err := s.run(); err != nil {
					b.Fatal(err)
				}
			}))
		}
	}
	for _, s := range subjects {
		b.Logf("%-12s %7.3f ms %6.1f GB/s %6.1f GFLOP/s", s.name, s.least*1e3, s.bytes/s.least/1e9, s.flops/s.least/1e9)
	}
	b.Logf("%-12s %7.3f ms %6.1f GB/s", "sum", sum*1e3, 4*float64(len(flush))/sum/1e9)
}

// cacheBench is one subject.
type cacheBench struct {
	name         string
	run          func() error
	bytes, flops float64
	least        float64 // seconds
}

func newCacheBench(name string, heads, batch, past int, l CacheLayout) *cacheBench {
	s := AttentionShape{Batch: batch, SeqLen: 1, Heads: heads, KVHeads: l.KVHeads, HeadDim: l.KeyDim, ValueDim: l.ValueDim}.complete()
	cache := NewKVCache(tensor.Float32, batch, past+1, l)
	cache.Fill([]float64{0.3, -0.7, 1.1, 0.2, -1.3, 0.9, 0.05, -0.4, 0.6, -0.1, 1.7})
	matrix := func(columns int) *tensor.Dense {
		return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(batch, columns))
	}
	pasts, fresh := make([]int, batch), make([]int, batch)
	for i := range pasts {
		pasts[i], fresh[i] = past, 1
	}
	counts := func(n []int) *tensor.Dense { return tensor.New(tensor.WithShape(batch), tensor.WithBacking(n)) }
	in := []G.Value{matrix(heads * l.KeyDim), matrix(l.KVHeads * l.KeyDim), counts(pasts), counts(fresh), matrix(l.KVHeads * l.ValueDim)}
	for i, q := 0, data[float32](in[0]); i < len(q); i++ {
		q[i] = float32(i%7) / 7
	}
	tape := NewTape(tensor.Float32, false)
	partial := tape.buffer(batch * heads * ((cache.Capacity + keyPiece - 1) / keyPiece) * (l.ValueDim + 1))
	partial.mem = make([]byte, partial.bytes())
	run, out := cachedAttention[float32](cache, partial, s), matrix(heads*l.ValueDim)
	return &cacheBench{
		name: name, run: func() error { return run(in, out) }, least: math.Inf(1),
		bytes: float64(batch * past * l.Bytes(tensor.Float32)), flops: 2 * float64(batch*past*heads*(l.KeyDim+l.ValueDim)),
	}
}

// threadTime is the processor time of f in seconds.
func threadTime(f func()) float64 {
	var began, ended unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &began)
	f()
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ended)
	return float64(ended.Nano()-began.Nano()) / 1e9
}
