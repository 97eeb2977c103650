// Package favit is an image classifier, the Factorization Vision Transformer (Qin et al.,
// arXiv 2312.08614): stages of an overlapping patch embedding and pre-norm blocks
// of attention and an MLP with a depthwise convolution, then the mean over pixels
// and a linear layer. There is no position embedding: the convolutions know where
// things are.
//
//	stage: x = LN(conv(x)); blocks; x = LN(x)
//	block: x = x + droppath(attention(LN(x))); x = x + droppath(MLP(LN(x)))
//	MLP:   W_2 gelu(DW3x3(W_1 x + b_1)) + b_2
//
// Names are those of the authors' code. Config.Parameters and MACs are the
// cost.
//
//	body := favit.DefaultBody()
//	network := model.Images{Body: body, Picture: model.Picture{Channels: 3, Height: 224, Width: 224}, Classes: 1000}
package favit
