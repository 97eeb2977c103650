// Package attention holds the attention layers: how queries, keys and values are
// made from activations, what is cached while decoding, and what comes out; for
// maps of pixels FaSA and attention within windows; and the poolings, which turn
// the states of a document into one vector, LAMA first.
// It builds on layers of package nn and operators of package op, and knows
// nothing of whole networks.
//
//	cfg := attention.Of(attention.MFA{Factors: attention.Factors{InterNorm: true}}, attention.Heads{NHead: 8, HeadDim: 64, Theta: 10000})
//	attn := attention.New(b.Sub("self_attn"), attention.LayerConfig{Config: cfg, DModel: 256, Causal: true, ...})
//	y := attn.Forward(x, nn.SeqInfo{Batch: 8, SeqLen: 128, Positions: positions}, layer)
//
// Kinds: mha (Vaswani et al. 2017), gqa (Ainslie et al. 2023), mqa (Shazeer 2019),
// mfa and mfa_kr (Hu et al. 2024; Step-3 report 2025), mla (DeepSeek-V2 2024).
package attention
