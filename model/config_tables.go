package model

import (
	"sparrow/configs"
)

// validateOwnTable reports, of a kind whose network is described by a table of its
// own, that the table is missing, and keys that such a network does not read:
// whoever sets one expects something of it.
func (c Config) validateOwnTable(r *configs.Report) {
	if c.Kind == "lama" && c.LAMA == nil || c.Kind == "favit" && c.FaViT == nil {
		r.Errorf(c.Kind, "is missing; kind = %q wants this table", c.Kind)
		return
	}
	var plain Config
	plain.UseKind(c.Kind)
	for _, k := range []struct {
		key  string
		same bool
	}{
		{"d_model", c.DModel == plain.DModel}, {"n_layer", c.NLayer == plain.NLayer}, {"d_ff", c.DFF == plain.DFF},
		{"norm", c.Norm == plain.Norm}, {"norm_eps", c.NormEps == plain.NormEps}, {"mlp", c.MLP == plain.MLP},
		{"positions", c.Positions == plain.Positions}, {"tie_embeddings", c.Tied == plain.Tied}, {"bias", c.Bias == plain.Bias},
		{"dropout", c.Dropout == plain.Dropout}, {"init_std", c.InitStd == plain.InitStd},
		{"checkpoint_activations", !c.CheckpointActivations || c.Kind == "favit"}, {"attention.kind", c.Attention == plain.Attention},
		{"context", c.Context == 0 || c.Kind != "favit"},
	} {
		if !k.same {
			r.Errorf(k.key, "is not for kind = %q, whose keys are those of [model.%s]", c.Kind, c.Kind)
		}
	}
}
