// Package compress shrinks trained checkpoints to an exact budget: it learns from calibration data which weights matter,
// plans what each linear layer becomes, factorizes the layers one by one, and verifies and explains the result. It must
// not know of flags or terminals, and it makes no network of its own: the result is an ordinary checkpoint.
//
//	cfg, err := compress.Load("configs/compress-fwsvd.toml", nil)
//	plan, err := compress.MakePlan(ctx, cfg, os.Stderr)     // nothing is written but the cache of statistics
//	result, err := compress.Run(ctx, cfg, "runs/small", os.Stderr)
//	report, err := compress.Verify(ctx, "runs/small", os.Stderr)
//	path, err := report.Write("runs/small", "")
//
// What calibration data tell of a layer y = W x (see [Statistics]): Fisher information, the squared gradients of the
// loss summed over each row and each column of W; and moments of the inputs x.
//
// Papers: Hsu et al., "Language model compression with weighted low-rank factorization" (FWSVD, 2022); Hua et al.,
// "Numerical optimizations for weighted low-rank estimation on language models" (TFWSVD, 2022); Wang et al., "SVD-LLM"
// (2024); Yuan et al., "ASVD" (2023); Mishra et al., "Accelerating sparse deep neural networks" (N:M sparsity, 2021); Chand,
// Prabhu and Kumar, "DSFormer: effective compression of text-transformers by dense-sparse weight factorization" (2023).
package compress
