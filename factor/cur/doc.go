// Package cur predicts rows of a matrix from a few of their values: CUR decompositions of a score matrix, of which some rows are
// known in full. It chooses the columns that are looked at, fits how the others follow from them, and says how well that goes. It
// must not know of queries, items or models.
//
//	few, err := cur.Choose(ctx, r, 100, cur.Options{How: cur.Strong}) // anchors among the columns of r
//	c, err := cur.Fit(ctx, r, few, cur.Config{Method: cur.Ridge, Centre: true})
//	c.Predict(out, values)            // a whole row, from its values at the anchors
//
// Papers: Yadav et al., "Efficient nearest neighbor search for cross-encoder models using matrix factorization" (ANNCUR, 2022) and
// "Adaptive selection of anchor items for CUR-based k-NN search with cross-encoders" (ADACUR, 2023); Mahoney and Drineas, "CUR matrix
// decompositions for improved data analysis" (2009); Gu and Eisenstat, "Efficient algorithms for computing a strong rank-revealing QR
// factorization" (1996).
package cur
