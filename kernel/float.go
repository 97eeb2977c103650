package kernel

// Float is the set of element types the kernels work on: float32 for training, float64 for
// decompositions and gradient checks.
type Float interface{ float32 | float64 }
