package recipe

import (
	"sparrow/attention"
	"sparrow/configs"
	"sparrow/data"
	"sparrow/model"
	"sparrow/nn"
)

// Lists are the kinds that come with the program: what the tables of a config may choose.
func Lists() configs.Lists {
	l := configs.With(configs.Lists{}, nn.Kinds()...)
	l = configs.With(l, nn.Tables()...)
	l = configs.With(l, attention.Kinds()...)
	l = configs.With(l, attention.Maps()...)
	l = configs.With(l, attention.Pools()...)
	l = configs.With(l, Bodies()...)
	l = configs.With(l, STFKinds()...)
	return configs.With(l, Sources()...)
}

// OldDefaults are the keys that configs of earlier versions spell out in checkpoints for every kind, with their defaults of then
// (see configs.Options).
var OldDefaults = map[string]any{
	"data.source": none, "data.validation_share": data.DefaultShare, "data.paths": []string{}, "data.tokenizer": "byte", "data.vocab_size": 4096, "data.min_count": 2, "data.lowercase": true,
	"data.seq_len": 256, "data.max_bytes": 0, "data.max_len": 256, "data.cut": "head", "data.max_examples": 0, "data.root": "",
	"data.train": "", "data.validation": "", "data.test": "", "data.text_columns": []string{}, "data.label_column": "",
	"data.header": true, "data.regression": false, "data.vectors": "", "data.image_size": 0, "data.mean": []float64{}, "data.std": []float64{},

	"model.d_model": 0, "model.n_layer": 0, "model.d_ff": 0, "model.context": 0, "model.norm": "rms_norm", "model.norm_eps": 1e-5,
	"model.mlp": "swiglu", "model.positions": "rotary", "model.tie_embeddings": false, "model.bias": false, "model.dropout": 0.0,
	"model.init_std": 0.02, "model.checkpoint_activations": false, "model.attention.kind": "mha", "model.attention.n_head": 4,
	"model.attention.n_kv_head": 0, "model.attention.head_dim": 0, "model.attention.rope_theta": 10000.0,

	"model.linear.rank": 0, "model.linear.alpha": 0.0, "model.linear.density": 0.0, "model.linear.up_init": "",
	"model.linear.train_scale": false, "model.linear.mode": "", "model.linear.base": "", "model.linear.block": 0,
	"model.linear.atoms": 0, "model.linear.nonzeros": []int{}, "model.linear.axis": "", "model.linear.shared": false,

	"model.attention.bias": false, "model.attention.q_rank": 0, "model.attention.inter_norm": true, "model.attention.output": "",
	"model.attention.kv_rank": 0, "model.attention.rope_dim": 0, "model.attention.v_head_dim": 0,

	"model.lama.pooling.heads": 10, "model.lama.pooling.rank": 1, "model.lama.pooling.context": "learned",
	"model.lama.pooling.activation": "tanh", "model.lama.pooling.l2_norm": true, "model.lama.pooling.init": "width",
	"model.lama.pooling.temperature": 1.0, "model.lama.pooling.width": 64, "model.lama.pooling.penalty": 0.0,

	"model.favit.fusion": "mean", "model.favit.groups": "all", "model.favit.pad": "reflect",

	"train.stf.refresh": 0, "train.stf.sweeps": 0, "train.stf.margin": 0.0, "train.stf.rate": 0.0, "train.stf.freeze_share": 0.0, "train.stf.decay": 0.0,
}

// Names are the networks and the sources of data of a list, in its order; what stands for no data is none of them.
func Names(l configs.Lists) (networks, sources []string) {
	for _, c := range configs.Of[model.Body](l) {
		networks = append(networks, c.Name)
	}
	for _, c := range configs.Of[data.Source](l) {
		if !(Data{configs.OneOf[data.Source]{Name: c.Name, Of: c.New()}}).IsNone() {
			sources = append(sources, c.Name)
		}
	}
	return networks, sources
}
