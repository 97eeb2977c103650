// Package cost is the analytic cost model of decoding in "Step-3 is Large yet Affordable" (2507.19427): from the sizes of
// a language model it computes what one token reads and multiplies, and from a card's price, FLOPs and bandwidth what that
// costs, with attention and FFN on one kind of card or on two. It is arithmetic on a config and knows nothing of graphs,
// weights or training.
//
// The report's models are in configs/cost, but for two whose cache in its table 2 does not follow from their sizes by one
// rule with the others': Llama 4 Maverick, of whose layers three in four attend within chunks, and MiniMax M1, most of whose
// layers keep a state of constant size.
//
//	m, err := cost.Load("configs/cost/step3.toml")
//	if err != nil {
//		return err // every mistake in the file, with its line
//	}
//	w := m.Work(8192)                             // one token after 8192 others
//	best := cost.Cheapest(w, cost.Cards)
//	fmt.Println(best.Attention.Name, best.FFN.Name, best.USD) // USD per million tokens
package cost
