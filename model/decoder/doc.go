// Package decoder is the causal body: blocks of attention and MLP that predict each token of a text from those before it. It can
// also generate with attention and FFN as stages of their own.
//
//	body := decoder.Default()
//	network := model.Language{Body: body, Text: model.Text{Vocab: 256, Length: 128}}
package decoder
