// Package retrieval finds the items that an expensive scorer of pairs, such as a cross-encoder, ranks first for a query, at a budget of
// pairs: from the scores of some items it predicts those of all, scores the best of them, and so on. It builds the index that takes,
// keeps it on disk, and measures how much of what scoring everything finds is found. It must not know of commands or of training.
//
//	x, err := retrieval.Open("index")
//	s, err := retrieval.OpenCheckpoint("runs/cross")   // or a Func, or HTTP
//	if err := x.Fits(s); err != nil { ... }            // another scorer than it was built with
//	found, err := x.Search(ctx, retrieval.Tools{Asker: retrieval.NewAsker(s, nil)}, retrieval.Request{
//		Query: "sorts a slice", K: 10, Budget: 200, Method: retrieval.ANNCUR,
//	})
//
// Papers: Yadav et al., "Efficient nearest neighbor search for cross-encoder models using matrix factorization" (ANNCUR, 2022),
// "Adaptive selection of anchor items for CUR-based k-NN search with cross-encoders" (ADACUR, 2023) and "Adaptive retrieval and
// scalable indexing for k-NN search with cross-encoders" (AXN, 2024); Robertson and Zaragoza, "The probabilistic relevance framework:
// BM25 and beyond" (2009).
package retrieval
