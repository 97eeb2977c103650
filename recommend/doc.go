// Package recommend has what recommenders take that are no networks: the evaluation by full ranking, the closed forms (popularity,
// item-kNN, PureSVD, EASE, weighted factorization by alternating least squares), fold-in of new users and the choice of the best
// items. It knows no files, no commands and no networks.
//
//	x := recommend.Sets{Start: []int{0, 2, 3}, Items: []int32{0, 1, 1}, Columns: 2}
//	r, err := recommend.Evaluate(ctx, scorer, cases, recommend.Protocol{Cutoffs: []int{10}})
//
// Papers: Sarwar et al. 2001 (item-kNN), Cremonesi et al. 2010 (PureSVD), Hu, Koren and Volinsky 2008 (WRMF), Steck 2019 (EASE),
// Krichene and Rendle 2020 (on sampled candidates).
package recommend
