package nn_test

import (
	"math"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/nn"
)

// shipped are the kinds of this package.
func shipped() configs.Lists { return configs.With(configs.Lists{}, nn.Kinds()...) }

// TestRule: what a [[model.linear]] table cannot be is one line for each mistake, and a key that its kind does not
// read is one.
func TestRule(t *testing.T) {
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

		{`kind="lora"`, `rank = 0 is too small; want at least 1`},
		{`kind="lora",rank=2,alpha=-1.0`, `alpha = -1.0 is out of range; want 0 (as rank) or a finite number above`},
		{`kind="sltrain",rank=2`, `density = 0.0 is out of range; want more than 0 and less than 1`},

		{`kind="dense",rank=2`, `unknown key "rank" in [[linear]] of kind = "dense"; it is a key of low_rank, sltrain, lora`},
		{`kind="dense",alpha=2.0`, `unknown key "alpha" in [[linear]] of kind = "dense"; it is a key of sltrain, lora`},
		{`kind="dense",up_init="zeros"`, `unknown key "up_init" in [[linear]] of kind = "dense"; it is a key of low_rank, sltrain, lora`},
		{`kind="low_rank",rank=2,alpha=2.0`, `unknown key "alpha" in [[linear]] of kind = "low_rank"; it is a key of sltrain, lora`},
		{`kind="low_rank",rank=2,density=0.1`, `unknown key "density" in [[linear]] of kind = "low_rank"; it is a key of sltrain`},
		{`kind="low_rank",rank=2,mode="factored"`, `unknown key "mode" in [[linear]] of kind = "low_rank"; it is a key of sltrain, dense_sparse`},
		{`kind="low_rank",rank=2,train_scale=true`, `unknown key "train_scale" in [[linear]] of kind = "low_rank"; it is a key of sltrain`},
		{`kind="lora",rank=2,density=0.1`, `unknown key "density" in [[linear]] of kind = "lora"; it is a key of sltrain`},
		{`kind="lora",rank=2,mode="factored"`, `unknown key "mode" in [[linear]] of kind = "lora"; it is a key of sltrain, dense_sparse`},
		{`kind="lora",rank=2,train_scale=true`, `unknown key "train_scale" in [[linear]] of kind = "lora"; it is a key of sltrain`},
		{`kind="dense_sparse",rank=2`, `unknown key "rank" in [[linear]] of kind = "dense_sparse"; it is a key of low_rank, sltrain, lora`},
		{`kind="dense_sparse",density=0.1`, `unknown key "density" in [[linear]] of kind = "dense_sparse"; it is a key of sltrain`},
		{`kind="sltrain",rank=2,density=0.1,block=16`, `unknown key "block" in [[linear]] of kind = "sltrain"; it is a key of dense_sparse`},
		{`kind="dense",atoms=64`, `unknown key "atoms" in [[linear]] of kind = "dense"; it is a key of dense_sparse`},
		{`kind="low_rank",rank=2,nonzeros=[4]`, `unknown key "nonzeros" in [[linear]] of kind = "low_rank"; it is a key of dense_sparse`},
		{`kind="low_rank",rank=2,axis="in"`, `unknown key "axis" in [[linear]] of kind = "low_rank"; it is a key of dense_sparse`},
		{`kind="low_rank",rank=2,shared=true`, `unknown key "shared" in [[linear]] of kind = "low_rank"; it is a key of dense_sparse`},
		{`kind="sltrain",rank=2,density=0.1,base="int8"`, `unknown key "base" in [[linear]] of kind = "sltrain"; it is a key of lora`},
	} {
		var cfg struct {
			Linear []nn.Rule `toml:"linear"`
		}
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: shipped(), Set: []string{`linear=[{match="*",` + tc.set + "}]"}})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("{%s}: %v; want it accepted", tc.set, err)
		case tc.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("{%s}: %v; want one line that ends in %q", tc.set, err, tc.want)
		}
	}
}

// TestRuleNotFinite: a table made in Go may have numbers that no file can give.
func TestRuleNotFinite(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  nn.Rule
		want string
	}{
		"alpha nan":   {nn.Rule{OneOf: nn.As(nn.LoRA{Rank: 2, Alpha: math.NaN()})}, "is out of range; want 0 (as rank) or a finite number above"},
		"alpha inf":   {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 2, Density: 0.1, Alpha: math.Inf(1)})}, "is out of range; want 0 (as rank) or a finite number above"},
		"density nan": {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 2, Density: math.NaN()})}, "is out of range; want more than 0 and less than 1"},
	} {
		tc.cfg.Match = "*"
		if err := configs.Validate("nn", &tc.cfg); err == nil || !strings.HasSuffix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line that ends in %q", name, err, tc.want)
		}
	}
}
