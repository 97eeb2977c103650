// Package restore takes noise out of pictures of many bands, fills in what a mask hides, and makes them larger. A cube is a product of
// few spectra and as many pictures, A E: the spectra are found by low rank, the pictures by a prior. It must not know of networks:
// a prior is an interface, of which total variation and BM3D are here.
//
//	r, err := restore.Run(ctx, cube, restore.Config{Task: restore.Denoise, Prior: restore.BM3D{}}, nil)
//	r.Cube, r.Rank, r.Sigma
//
// Everything is found from the noisy cube: the noise of each band, the rank, the weights. A clean cube is known to Evaluate alone,
// which spoils it and compares.
//
// Papers: Pang et al., "HIR-Diff: Unsupervised hyperspectral image restoration via improved diffusion models" (arXiv 2402.15865); Zhuang
// and Bioucas-Dias, "Fast hyperspectral image denoising and inpainting based on low-rank and sparse representations" (FastHyDe, 2018);
// Dabov et al., "Image denoising by sparse 3-D transform-domain collaborative filtering" (BM3D, 2007); Rudin, Osher and Fatemi,
// "Nonlinear total variation based noise removal algorithms" (1992); Chambolle, "An algorithm for total variation minimization and
// applications" (2004); Venkatakrishnan et al., "Plug-and-play priors for model based reconstruction" (2013).
package restore
