// Package extend gives a trained network another vocabulary: rows of tokens that both have are copied, new ones start as mixtures
// of old ones whose words mean much the same (Liu et al. 2024, OFA), and what has neither starts at random.
//
// It knows vocabularies, word vectors and the arrays of a network that have a row for each token. It knows no command and no
// training.
package extend
