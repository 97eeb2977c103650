// Package attention holds the attention layers: how queries, keys and values are
// made from activations, what is cached while decoding, and what comes out; and
// for maps of pixels FaSA and attention within windows; and
// the poolings, which turn the states of a document into one vector, LAMA first.
// It builds on layers of package nn and operators of package op, and knows
// nothing of whole networks.
//
//	attn := attention.NewMHA(b.Sub("self_attn"), cfg)
//	y := attn.Forward(x, nn.SeqInfo{Batch: 8, SeqLen: 128, Positions: positions}, layer)
package attention
