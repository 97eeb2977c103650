package cost

// Work is what one decoded token costs in all layers, whatever the card: the columns of the report's tables 2 and 3.
type Work struct {
	KVBytes        float64 `json:"kv_bytes"`        // read of the key/value cache, at one byte a value
	AttentionFLOPs float64 `json:"attention_flops"` // of scores and the sums of values
	LinearFLOPs    float64 `json:"linear_flops"`    // of the projections around attention
	FFNFLOPs       float64 `json:"ffn_flops"`       // of dense FFNs, shared experts and the routed experts in use
}

// Work counts a token that attends to context tokens; FLOPs are two a multiply-add.
//
// MHA, GQA, MQA and MFA score and sum 2 n d_h values a token of context; of MFA-KR the map N is applied to what each head
// has read, m C² once. MLA is counted absorbed and, as in the report, with both products over the whole of what is cached
// (kv_rank + rope_dim), although the second needs kv_rank only. Norms, softmax, router, embedding and output head are left
// out, as there.
func (c Config) Work(context int) Work {
	s, layers := c.Attention.shape(c.DModel), float64(c.NLayer)
	return Work{
		KVBytes:        layers * float64(s.Cache.Elements()) * float64(context),
		AttentionFLOPs: layers * 2 * c.Attention.products(s) * float64(context),
		LinearFLOPs:    layers * 2 * (s.Parameters + s.Repeated),
		FFNFLOPs:       2 * (float64(c.FFN.DenseLayers)*c.ffn(c.FFN.DenseWidth) + float64(c.NLayer-c.FFN.DenseLayers)*c.ffn(c.activeWidth())),
	}
}

// Intensity is attention's FLOPs for each byte of the cache that it reads, at any context and batch.
func (w Work) Intensity() float64 { return w.AttentionFLOPs / w.KVBytes }

// Parameters counts weights without norms, gates and biases.
type Parameters struct {
	AttentionPerLayer float64 `json:"attention_per_layer"`
	Total             float64 `json:"total"`     // with both embeddings
	Activated         float64 `json:"activated"` // what a token multiplies with: the experts it uses and the output head
}

// Parameters counts the model's weights.
func (c Config) Parameters() Parameters {
	f := c.FFN
	dense, moe := float64(f.DenseLayers), float64(c.NLayer-f.DenseLayers)
	embedding := float64(c.VocabSize) * float64(c.DModel)
	p := Parameters{AttentionPerLayer: c.Attention.shape(c.DModel).Parameters}
	common := float64(c.NLayer)*p.AttentionPerLayer + dense*c.ffn(f.DenseWidth) + moe*float64(c.DModel)*float64(f.NExpert) + embedding
	p.Total = common + moe*c.ffn(f.NExpert*f.ExpertWidth+f.SharedWidth)
	if !c.Tied {
		p.Total += embedding
	}
	p.Activated = common + moe*c.ffn(c.activeWidth())
	return p
}

// Sparsity is the share of a MoE layer's experts, the shared ones included, that a token uses: S of the report; 1 without
// experts.
func (c Config) Sparsity() float64 {
	if c.FFN.NExpert == 0 {
		return 1
	}
	return float64(c.activeWidth()) / float64(c.FFN.NExpert*c.FFN.ExpertWidth+c.FFN.SharedWidth)
}

// activeWidth is the width of all experts that a token uses.
func (c Config) activeWidth() int { return c.FFN.TopK*c.FFN.ExpertWidth + c.FFN.SharedWidth }

// ffn is the weights of an FFN of some width.
func (c Config) ffn(width int) float64 {
	matrices := 2.0
	if c.FFN.Gated {
		matrices = 3
	}
	return matrices * float64(c.DModel) * float64(width)
}
