package op

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// benchDecoder is 3.3M parameters, 1024 tokens a step.
var benchDecoder = decoderSize{layers: 4, width: 256, hidden: 688, vocab: 256, batch: 8, length: 128}

// BenchmarkStep is a forward and backward pass. Beside the time of a step it
// reports the planned memory and, with SPARROW_BENCH_OPS set, each kind of
// operator's share of the time (wall time inside operators is "ops").
func BenchmarkStep(b *testing.B) {
	m, err := decoderOf(benchDecoder).tryCompile(tensor.Float32, false)
	if err != nil {
		b.Fatal(err)
	}
	m.plan.Bind(m.arena)
	spent := map[string]time.Duration{}
	for _, o := range m.tape.ops {
		run := o.run
		o.run = func(in []G.Value, out *tensor.Dense) error {
			start := time.Now()
			err := run(in, out)
			spent[o.name] += time.Since(start)
			return err
		}
	}
	if err := m.tape.Run(m.vm); err != nil {
		b.Fatal(err)
	}
	clear(spent)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := m.tape.Run(m.vm); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(m.plan.Bytes())/1e6, "planned-MB")
	var all time.Duration
	for _, d := range spent {
		all += d
	}
	b.ReportMetric(100*all.Seconds()/b.Elapsed().Seconds(), "%ops")
	if os.Getenv("SPARROW_BENCH_OPS") == "" {
		return
	}
	for _, name := range slices.SortedFunc(maps.Keys(spent), func(x, y string) int { return cmp.Compare(spent[y], spent[x]) }) {
		b.Logf("%-20s %6.2f ms %5.1f%%", name, spent[name].Seconds()*1e3/float64(b.N), 100*spent[name].Seconds()/all.Seconds())
	}
}
