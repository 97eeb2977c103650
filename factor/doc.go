// Package factor holds matrix factorizations on plain float64 matrices: singular value decompositions (thin, truncated,
// randomized, weighted by row, column or entry, of what is known of a matrix), columns chosen by strong rank-revealing QR with what
// the others are made of them, dense-sparse products found by orthogonal matching pursuit and dictionary updates, non-negative
// factorizations (NMF, semi-NMF, separable), non-negative least squares and k-means. It must not know of graphs, layers or checkpoints.
//
//	w, err := factor.FromFloat32(out, in, weights)
//	full, err := factor.ThinSVD(ctx, w, nil)             // w = U diag(S) Vt
//	low, err := factor.TruncatedSVD(ctx, w, rank, nil)   // the best product of that rank
//	fw, err := factor.WeightedSVD(ctx, w, rank, factor.Weights{Cols: fisher}, nil)
//	up, down := fw.Split()                               // w ~ up down, up [out, rank], down [rank, in]
//	few, err := factor.ID(ctx, w, k, 1.2, 0, nil)        // w ~ w[:, few.Index] few.Coeff, no coefficient above 1.2
//	ds, err := factor.DenseSparse(ctx, w, factor.DenseSparseConfig{Block: 16, Atoms: 128, Nonzeros: []int{4}, Shared: true, Sweeps: 4}, nil, nil)
//	s, err := factor.Separable(ctx, counts, k, 0)         // rows of which the others are mixtures
//	p, err := factor.OnSimplex(ctx, x, s.Vertices, nil)   // x ~ p s.Vertices, p >= 0, rows sum to 1
//	c, err := factor.KMeans(ctx, x, factor.KMeansConfig{K: k}, nil)
//	f, err := factor.SemiNMF(ctx, rows, factor.SemiNMFConfig{Features: 100, Keep: 31}, nil) // rows ~ G Z, G >= 0
//
// Everything that may take long takes a context, which stops it after the matrix product under way, and a [Progress]. Work
// is spread over the pool of package kernel; results are the same, bit for bit, for any number of threads.
//
// Papers: Gu and Eisenstat, "A divide-and-conquer algorithm for the symmetric tridiagonal eigenproblem" (1995), and "Efficient
// algorithms for computing a strong rank-revealing QR factorization" (1996); Halko,
// Martinsson and Tropp, "Finding structure with randomness" (2011); Hsu et al., "Language model compression with weighted
// low-rank factorization" (FWSVD, 2022); Rubinstein, Zibulevsky and Elad, "Efficient implementation of the K-SVD algorithm
// using batch orthogonal matching pursuit" (2008); Chand, Prabhu and Kumar, "DSFormer" (2023); Lawson and Hanson, "Solving least squares
// problems" (1974); Lee and Seung, "Algorithms for non-negative matrix factorization" (2001); Arthur and Vassilvitskii,
// "k-means++" (2007); Cichocki and Phan, "Fast local algorithms for large scale nonnegative matrix and tensor
// factorizations" (2009); Gillis and Vavasis, "Fast and robust recursive algorithms for separable nonnegative matrix
// factorization" (2014); Ding, Li and Jordan, "Convex and semi-nonnegative matrix factorizations" (2010); Shafran, Geiger and
// Geva, "Decomposing MLP activations into interpretable features via semi-nonnegative matrix factorization" (2025).
package factor
