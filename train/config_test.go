package train

import (
	"errors"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// TestConfigProblems: each bad value is one line that names it once and says
// what is wanted.
func TestConfigProblems(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{`name=""`, `name = "" is no name for the run's folder`},
		{`name=".hidden"`, `that does not begin with a dot`},
		{"train.steps=0", "[train] steps = 0 is too small; want at least 1"},
		{"train.batch_size=-3", "[train] batch_size = -3 is too small; want at least 1"},
		{"train.grad_accum=0", "[train] grad_accum = 0 is too small; want at least 1"},
		{"train.learning_rate=inf", "[train] learning_rate = +inf is not a finite float64"},
		{"train.learning_rate=nan", "[train] learning_rate = nan is not a finite float64"},
		{"train.learning_rate=-1.0", "[train] learning_rate = -1.0 is out of range; want a finite number above 0"},
		{"train.beta1=1.0", "[train] beta1 = 1.0 is out of range; want at least 0 and less than 1"},
		{"train.beta2=-0.1", "[train] beta2 = -0.1 is out of range"},
		{"train.weight_decay=-1.0", "[train] weight_decay = -1.0 is out of range"},
		{"train.grad_clip=nan", "[train] grad_clip = nan is not a finite float64"},
		{"train.eps=0.0", "[train] eps = 0.0 is out of range; want more than 0 and less than 1"},
		{"train.optimizer=sgd", `[train] optimizer = "sgd" is unknown; want`},
		{"train.adam_block_size=8", "[train] adam_block_size = 8 is out of range; want a power of two from 16 to 4096"},
		{"train.adam_block_size=96", "[train] adam_block_size = 96 is out of range; want a power of two"},
		{"train.adam_block_size=8192", "[train] adam_block_size = 8192 is out of range; want a power of two"},
		{"train.adam_block_size=512", `[train] adam_block_size = 512 is for optimizer = "adamw8bit" only, but optimizer = "adamw"`},
		{"train.per_layer_update=true", "[train] per_layer_update = true wants grad_clip = 0, but it is 1: the norm of all gradients is known only after"},
		{"train.schedule=cosin", `[train] schedule = "cosin" is unknown; want one of constant, linear, cosine, wsd`},
		{"train.warmup_steps=1001", "[train] warmup_steps = 1001 is out of range; want 0 to steps = 1000"},
		{"train.warmup_steps=-1", "[train] warmup_steps = -1 is out of range"},
		{"train.schedule=wsd", "[train] decay_steps = 0 is out of range; wsd wants 1 to 1000"},
		{"train.decay_steps=3", `[train] decay_steps = 3 is for schedule = "wsd" only, but schedule = "cosine"`},
		{"train.min_lr_ratio=1.5", "[train] min_lr_ratio = 1.5 is out of range; want 0 to 1"},
		{`train.freeze=[{match=""}]`, `match = "" is not a valid glob pattern`},
		{"eval.every=-1", "[eval] every = -1 is negative; want 0 (only at the end) or more steps"},
		{"eval.tokens=-1", "[eval] tokens = -1 is negative; want 0 (all) or more"},
		{"checkpoint.every=-1", "[checkpoint] every = -1 is negative"},
		{"checkpoint.keep=0", "[checkpoint] keep = 0 is too small; want at least 1"},
		{"sample.tokens=0", "[sample] tokens = 0 is too small"},
		{"sample.temperature=-0.5", "[sample] temperature = -0.5 is out of range; want 0 or more"},
		{"sample.top_p=2.0", "[sample] top_p = 2.0 is out of range; want 0 to 1"},
		{"model.context=8", "[data] seq_len = 256 is longer than [model] context = 8"},
	} {
		cfg := recipe.Default()
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: recipe.Lists(), Set: []string{c.set}})
		if !errors.Is(err, configs.ErrConfig) || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--set %s: %v; want one line with %q", c.set, err, c.want)
		}
	}
}

// TestConfigDefaults: what a config leaves out is valid, and what Validate lets
// through is a schedule that can be followed.
func TestConfigDefaults(t *testing.T) {
	for _, set := range [][]string{nil, {"train.schedule=wsd", "train.decay_steps=1000"}, {"train.schedule=constant", "train.warmup_steps=1000"},
		{"train.schedule=linear", "train.min_lr_ratio=0.0"}, {"train.steps=1"},
		{"train.optimizer=adamw8bit", "train.adam_block_size=16"}, {"train.optimizer=adamw8bit", "train.adam_block_size=4096"},
		{"train.per_layer_update=true", "train.grad_clip=0.0"}} {
		cfg := recipe.Default()
		if err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: recipe.Lists(), Set: set}); err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		if err := optim.ScheduleOf(cfg.Train).Validate(); err != nil {
			t.Errorf("%q: the config is accepted and its schedule is not: %v", set, err)
		}
	}
}
