package recipe_test

import (
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model/decoder"
	"sparrow/model/favit"
	"sparrow/recipe"
)

// TestStoredAttention: checkpoints of earlier versions spell out the keys of every attention. Those of other kinds are dropped
// at their defaults of then; another value is a mistake, and so is such a key in a config that somebody writes.
func TestStoredAttention(t *testing.T) {
	const stored = `[model.attention]
kind = "mfa"
n_head = 4
n_kv_head = 0
head_dim = 0
bias = false
rope_theta = 10000.0
q_rank = 7
inter_norm = true
output = ""
kv_rank = 0
rope_dim = 0
v_head_dim = 0
`
	var c recipe.Config
	decode := func(text string, old map[string]any) error {
		c = recipe.Default()
		return configs.Decode("config.toml", []byte(text), &c, configs.Options{Lists: recipe.Lists(), Old: old})
	}
	if err := decode(stored, recipe.OldDefaults); err != nil {
		t.Fatal(err)
	}
	want := attention.Of(attention.MFA{Factors: attention.Factors{QRank: 7, InterNorm: true}}, attention.Heads{NHead: 4, Theta: 10000})
	if got := c.Model.Of.(decoder.Config).Attention; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, kind := range attention.Kinds() {
		text := strings.Replace(stored, "mfa", kind.Name, 1)
		switch kind.Name {
		case "gqa":
			text = strings.Replace(text, "n_kv_head = 0", "n_kv_head = 2", 1)
		case "mla":
			text = strings.NewReplacer("kv_rank = 0", "kv_rank = 8", "rope_dim = 0", "rope_dim = 2").Replace(text)
		}
		if kind.Name != "mla" && !strings.HasPrefix(kind.Name, "mfa") {
			text = strings.Replace(text, "q_rank = 7", "q_rank = 0", 1)
		}
		if err := decode(text, recipe.OldDefaults); err != nil {
			t.Errorf("%s: %v", kind.Name, err)
		}
	}
	for text, want := range map[string]string{
		strings.Replace(stored, "kv_rank = 0", "kv_rank = 8", 1):  `unknown key "kv_rank" in [model.attention] of kind = "mfa"; it is a key of mla`,
		strings.Replace(stored, "bias = false", "bias = true", 1): `unknown key "bias" in [model.attention] of kind = "mfa"; it is a key of mha, gqa, mqa`,
	} {
		if err := decode(text, recipe.OldDefaults); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := decode(stored, nil); err == nil || !strings.Contains(err.Error(), `unknown key "kv_rank"`) {
		t.Errorf("written by people: got %v, want unknown keys", err)
	}
}

// TestStoredMap: checkpoints of earlier versions spell out the keys of every attention over maps.
func TestStoredMap(t *testing.T) {
	const stored = `[data]
source = "mnist"
[model]
kind = "favit"
[model.favit]
variant = "tiny"
window = 2
attention = "KIND"
fusion = "mean"
groups = "all"
pad = "reflect"
`
	for _, kind := range attention.Maps() {
		c := recipe.Default()
		o := configs.Options{Lists: recipe.Lists(), Old: recipe.OldDefaults}
		if err := configs.Decode("config.toml", []byte(strings.Replace(stored, "KIND", kind.Name, 1)), &c, o); err != nil {
			t.Errorf("%s: %v", kind.Name, err)
		} else if got := c.Model.Of.(favit.Body).Attention; got.Name != kind.Name || got.Of != kind.New() {
			t.Errorf("%s: got %+v", kind.Name, got)
		}
		written, err := configs.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if own, spelled := kind.Name == "fasa", strings.Contains(string(written), "\nfusion = "); own != spelled {
			t.Errorf("%s: fusion is written: %v, want %v", kind.Name, spelled, own)
		}
	}
	c := recipe.Default()
	text := strings.NewReplacer("KIND", "window", "groups = \"all\"", "groups = \"local\"").Replace(stored)
	err := configs.Decode("a.toml", []byte(text), &c, configs.Options{Lists: recipe.Lists(), Old: recipe.OldDefaults})
	if want := `a.toml:10: unknown key "groups" in [model.favit] of attention = "window"; it is a key of fasa`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
