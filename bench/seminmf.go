package main

import (
	"context"
	"fmt"
	"time"

	"sparrow/factor"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// semiNMF measures an iteration of semi-NMF with 1% of the entries of each feature, at the width of a BERT's MLP, against the two
// products with the vectors that it cannot do without: A Zᵀ and Gᵀ A.
func (b *bench) semiNMF(name string) error {
	const width, vectors, features = 3072, 20000, 100
	a, err := b.ours.ask(request{"cmd": "semi-nmf", "m": vectors, "n": width, "k": features, "repeat": b.rounds, "threads": b.threads})
	if err != nil {
		return err
	}
	products := measure.Median(a.Values)
	ratio := measure.Median(a.Seconds) / products
	b.emit(result{Name: name, Threads: b.threads, Ours: measure.Median(a.Seconds), Unit: "s", Ratio: &ratio, InstructionSet: b.ours.isa,
		Note: fmt.Sprintf("an iteration at %d x %d x %d; the ratio is to its two products with the vectors, %.3f s", width, vectors, features, products)})
	return nil
}

// semiNMF times iterations and, as values, the products.
func semiNMF(vectors, width, features, repeat int) (reply, error) {
	var r reply
	if vectors < 1 || width < 1 || features < 1 || repeat < 1 {
		return r, fmt.Errorf("semi-nmf: got %d vectors of %d, %d features and %d turns; want 1 of each at least", vectors, width, features, repeat)
	}
	a := factor.NewMatrix(vectors, width)
	rng.FillNormal(rng.New(1, "bench/semi-nmf", 0), a.Data, 0, 1)
	z, g, p := factor.NewMatrix(features, width), factor.NewMatrix(vectors, features), factor.NewMatrix(vectors, features)
	rng.FillNormal(rng.New(2, "bench/semi-nmf", 0), z.Data, 0, 1)
	rng.FillUniform(rng.New(3, "bench/semi-nmf", 0), g.Data, 0, 1)
	for range repeat {
		began := time.Now()
		kernel.Gemm(false, true, vectors, features, width, 1, a.Data, width, z.Data, width, 0, p.Data, features)
		kernel.Gemm(true, false, features, width, vectors, 1, g.Data, features, a.Data, width, 0, z.Data, width)
		r.Values = append(r.Values, time.Since(began).Seconds())
	}
	last := time.Time{}
	_, err := factor.SemiNMF(context.Background(), a, factor.SemiNMFConfig{Features: features, Keep: (width + 99) / 100, Iterations: repeat, Patience: repeat + 1}, func(done, total int) {
		now := time.Now()
		if done > 1 && done < total { // the first solves for the start alone, the last ends
			r.Seconds = append(r.Seconds, now.Sub(last).Seconds())
		}
		last = now
	})
	return r, err
}
