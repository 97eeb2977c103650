// Package recommender has the networks that recommend items to users: closed forms, which are solved in rounds, and factorizations and
// towers, which train by gradients. It knows no files and no splits: what it needs of the data it is told.
//
// A network is one file and one row of recipe.Bodies: a struct of its keys that is a [Body], and a [Solver] or a [Learner] besides.
package recommender
