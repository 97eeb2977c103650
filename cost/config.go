package cost

import (
	"sparrow/attention"
	"sparrow/configs"
)

// Config is the sizes of a decoder-only language model, as its file gives them.
type Config struct {
	Name      string    `toml:"name" doc:"for people"`
	NLayer    int       `toml:"n_layer" doc:"blocks"`
	DModel    int       `toml:"d_model" doc:"width of the residual stream"`
	VocabSize int       `toml:"vocab_size" doc:"tokens; only parameters depend on it"`
	Tied      bool      `toml:"tie_embeddings" doc:"the output head is the token embedding"`
	Attention Attention `toml:"attention"`
	FFN       FFN       `toml:"ffn"`
}

// FFN is the [ffn] table: dense layers, mixture-of-experts (MoE) layers, or both.
type FFN struct {
	Gated       bool `toml:"gated" doc:"three matrices (SwiGLU) and not two"`
	DenseLayers int  `toml:"dense_layers" doc:"how many of n_layer have one dense FFN; the others are MoE"`
	DenseWidth  int  `toml:"dense_width" doc:"width inside a dense FFN"`
	NExpert     int  `toml:"n_expert" doc:"routed experts of a MoE layer"`
	TopK        int  `toml:"top_k" doc:"routed experts that a token uses"`
	ExpertWidth int  `toml:"expert_width" doc:"width inside a routed expert"`
	SharedWidth int  `toml:"shared_width" doc:"width inside the experts that every token uses, together"`
}

// Load reads a model's sizes from a TOML file; its errors are those of configs.Load. The file may choose an attention that is in
// lists, without that one of package attention.
func Load(path string, lists ...configs.Lists) (Config, error) {
	c := Config{FFN: FFN{Gated: true}}
	known := configs.With(configs.Lists{}, attention.Kinds()...)
	if len(lists) > 0 {
		known = lists[len(lists)-1]
	}
	err := configs.Load(path, &c, configs.Options{Lists: known})
	return c, err
}

// largest bounds every size, so that no product of a few of them leaves the range of float64's exact integers by much.
const largest = 1 << 24

// Validate reports sizes that no model has.
func (c Config) Validate(r *configs.Report) {
	if c.Name == "" {
		r.Errorf("name", "is missing")
	}
	inRange(r, "n_layer", c.NLayer, 1)
	inRange(r, "d_model", c.DModel, 1)
	inRange(r, "vocab_size", c.VocabSize, 1)
	moe := c.NLayer - c.FFN.DenseLayers
	switch {
	case moe < 0:
		r.Errorf("ffn.dense_layers", "is more than n_layer = %d", c.NLayer)
	case moe > 0 && c.FFN.NExpert == 0:
		r.Errorf("ffn.n_expert", "leaves %d of n_layer = %d layers without an FFN; want dense_layers = %d or experts", moe, c.NLayer, c.NLayer)
	case moe == 0 && c.FFN.NExpert > 0:
		r.Errorf("ffn.n_expert", "has no layer to be in, as dense_layers = n_layer = %d", c.NLayer)
	}
}

// Validate reports widths that no FFN has.
func (f FFN) Validate(r *configs.Report) {
	inRange(r, "dense_layers", f.DenseLayers, 0)
	if f.DenseLayers > 0 {
		inRange(r, "dense_width", f.DenseWidth, 1)
	} else if f.DenseWidth != 0 {
		r.Errorf("dense_width", "has no layer to be in, as dense_layers = 0")
	}
	inRange(r, "n_expert", f.NExpert, 0)
	if f.NExpert == 0 {
		for key, v := range map[string]int{"top_k": f.TopK, "expert_width": f.ExpertWidth, "shared_width": f.SharedWidth} {
			if v != 0 {
				r.Errorf(key, "wants n_expert, the experts of a layer")
			}
		}
		return
	}
	inRange(r, "top_k", f.TopK, 1)
	inRange(r, "expert_width", f.ExpertWidth, 1)
	inRange(r, "shared_width", f.SharedWidth, 0)
	if f.TopK > f.NExpert {
		r.Errorf("top_k", "is more than n_expert = %d", f.NExpert)
	}
}

func inRange(r *configs.Report, key string, v, low int) {
	if v < low || v > largest {
		r.Errorf(key, "is out of range; want %d to %d", low, largest)
	}
}
