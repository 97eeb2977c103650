// Package rng draws random numbers as a function of (seed, stream, counter), so that any draw can be made again
// from three recorded values. It knows nothing of tensors, layers or data.
//
// A generator whose state is carried from step to step must be saved with every checkpoint and breaks as soon as one
// consumer draws once more than before. Here nothing is carried: a consumer names its stream ("init/model.embed",
// "dropout/layers.0", "shuffle") and counts its own steps.
//
//	s := rng.New(cfg.Seed, "dropout/layers.0.mlp", step)
//	if s.Float64() < p {
//		// drop
//	}
//
// The numbers come from Philox2x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011): a bijection of 128-bit counters under a 64-bit key. The key is a hash of seed and stream, the upper half
// of the counter is the caller's counter, the lower half counts blocks within the source. Two sources with equal keys
// and different counters therefore never meet within 2^65 draws.
//
// None of this is fit for secrets.
package rng
