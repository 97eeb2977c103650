// Package card writes the model card of a checkpoint: what it is, the data it learned from, its scores, how it was made and what it was made
// from, as Markdown. It reads what the checkpoint itself keeps and makes no claim beyond that.
//
//	err := card.Write("out/README.md", l, card.Made{Method: []string{"folded into dense layers"}})
package card
