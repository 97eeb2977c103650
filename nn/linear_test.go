package nn_test

import (
	"math"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/nn"
)

// TestLinearConfig: what a [[model.linear]] table cannot be is one line for each mistake, and a key that its kind does not
// read is one.
func TestLinearConfig(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{`kind="dense"`, ""},
		{`kind="low_rank",rank=2,up_init="zeros"`, ""},
		{`kind="sltrain",rank=2,density=0.1`, ""},
		{`kind="sltrain",rank=2,density=0.1,alpha=4.0,up_init="uniform",train_scale=true,mode="factored"`, ""},
		{`kind="lora",rank=2`, ""},
		{`kind="dense_sparse"`, ""},
		{`kind="dense_sparse",block=8,atoms=32,nonzeros=[2],axis="out",shared=false,mode="factored"`, ""},
		{`kind="lora",rank=2,alpha=4.0,base="int8",up_init="uniform"`, ""},

		{`kind="sparse",rank=2,base="int8"`, `kind = "sparse" is unknown; want one of dense, low_rank, sltrain, dense_sparse, lora`},
		{`kind="sltrain",rank=2,density=0.1,mode="lazy"`, `mode = "lazy" is unknown; want one of materialized, factored`},
		{`kind="low_rank",rank=2,up_init="ones"`, `up_init = "ones" is unknown; want one of zeros, uniform`},
		{`kind="lora",rank=2,base="int2"`, `base = "int2" is unknown; want one of float32, int8, int4`},

		{`kind="lora"`, `rank = 0 is too small; lora wants at least 1`},
		{`kind="lora",rank=2,alpha=-1.0`, `alpha = -1.0 is out of range; want 0 (as rank) or a finite number above`},
		{`kind="sltrain",rank=2`, `density = 0.0 is out of range; want more than 0 and less than 1`},

		{`kind="dense",rank=2`, `rank = 2 is for kind = "low_rank" or "sltrain" or "lora" only, but kind = "dense"`},
		{`kind="dense",alpha=2.0`, `alpha = 2.0 is for kind = "sltrain" or "lora" only, but kind = "dense"`},
		{`kind="dense",up_init="zeros"`, `up_init = "zeros" is for kind = "low_rank" or "sltrain" or "lora" only, but kind = "dense"`},
		{`kind="low_rank",rank=2,alpha=2.0`, `alpha = 2.0 is for kind = "sltrain" or "lora" only, but kind = "low_rank"`},
		{`kind="low_rank",rank=2,density=0.1`, `density = 0.1 is for kind = "sltrain" only, but kind = "low_rank"`},
		{`kind="low_rank",rank=2,mode="factored"`, `mode = "factored" is for kind = "sltrain" or "dense_sparse" only, but kind = "low_rank"`},
		{`kind="low_rank",rank=2,train_scale=true`, `train_scale = true is for kind = "sltrain" only, but kind = "low_rank"`},
		{`kind="lora",rank=2,density=0.1`, `density = 0.1 is for kind = "sltrain" only, but kind = "lora"`},
		{`kind="lora",rank=2,mode="factored"`, `mode = "factored" is for kind = "sltrain" or "dense_sparse" only, but kind = "lora"`},
		{`kind="lora",rank=2,train_scale=true`, `train_scale = true is for kind = "sltrain" only, but kind = "lora"`},
		{`kind="dense_sparse",rank=2`, `rank = 2 is for kind = "low_rank" or "sltrain" or "lora" only, but kind = "dense_sparse"`},
		{`kind="dense_sparse",density=0.1`, `density = 0.1 is for kind = "sltrain" only, but kind = "dense_sparse"`},
		{`kind="sltrain",rank=2,density=0.1,block=16`, `block = 16 is for kind = "dense_sparse" only, but kind = "sltrain"`},
		{`kind="dense",atoms=64`, `atoms = 64 is for kind = "dense_sparse" only, but kind = "dense"`},
		{`kind="low_rank",rank=2,nonzeros=[4]`, `is for kind = "dense_sparse" only, but kind = "low_rank"`},
		{`kind="low_rank",rank=2,axis="in"`, `axis = "in" is for kind = "dense_sparse" only, but kind = "low_rank"`},
		{`kind="low_rank",rank=2,shared=true`, `shared = true is for kind = "dense_sparse" only, but kind = "low_rank"`},
		{`kind="sltrain",rank=2,density=0.1,base="int8"`, `base = "int8" is for kind = "lora" only, but kind = "sltrain"`},
	} {
		var cfg struct {
			Linear []nn.LinearConfig `toml:"linear"`
		}
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Set: []string{`linear=[{match="*",` + tc.set + "}]"}})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("{%s}: %v; want it accepted", tc.set, err)
		case tc.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("{%s}: %v; want one line that ends in %q", tc.set, err, tc.want)
		}
	}
}

// TestLinearConfigNotFinite: a table made in Go may have numbers that no file can give.
func TestLinearConfigNotFinite(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  nn.LinearConfig
		want string
	}{
		"alpha nan":   {nn.LinearConfig{Kind: "lora", Rank: 2, Alpha: math.NaN()}, "is out of range; want 0 (as rank) or a finite number above"},
		"alpha inf":   {nn.LinearConfig{Kind: "sltrain", Rank: 2, Density: 0.1, Alpha: math.Inf(1)}, "is out of range; want 0 (as rank) or a finite number above"},
		"density nan": {nn.LinearConfig{Kind: "sltrain", Rank: 2, Density: math.NaN()}, "is out of range; want more than 0 and less than 1"},
		"unread nan":  {nn.LinearConfig{Kind: "dense", Density: math.NaN()}, `is for kind = "sltrain" only, but kind = "dense"`},
	} {
		tc.cfg.Match = "*"
		if err := configs.Validate("nn", &tc.cfg); err == nil || !strings.HasSuffix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line that ends in %q", name, err, tc.want)
		}
	}
}
