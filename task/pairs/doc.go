// Package pairs is the task of cross-encoders that rank: a score for a query and a text, learned from lists of candidates of which one
// answers. It must not know of vectors of single texts or of indexes.
//
// Papers: Nogueira and Cho, "Passage re-ranking with BERT" (2019); Yadav et al., "Efficient nearest neighbor search for cross-encoder
// models using matrix factorization" (2022).
package pairs
