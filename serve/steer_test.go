package serve

import (
	"errors"
	"testing"

	"sparrow/model"
	"sparrow/model/decode"
)

// TestSteer: a request's feature is added to its text and to no other; what it asks for reaches the model's Steer, whose refusal is
// the request's; a model without features refuses.
func TestSteer(t *testing.T) {
	m := writer(t, "", model.Options{})
	var asked string
	steer := func(feature string, kl, alpha *float64) (decode.Addition, error) {
		if feature != "0:3" {
			return decode.Addition{}, errors.New("no such feature")
		}
		a := decode.Addition{Site: "model.layers.0.mlp", Vector: make([]float32, 32)}
		size := float32(3)
		switch {
		case alpha != nil:
			asked, size = "alpha", float32(*alpha)
		case kl != nil:
			asked = "kl"
		default:
			asked = "neither"
		}
		for i := range a.Vector {
			a.Vector[i] = size * float32(1-i%3)
		}
		return a, nil
	}
	_, url := start(t, Options{}, Model{Name: "m", Model: m, Steer: steer}, Model{Name: "bare", Model: m})
	body := func(name string, more map[string]any) map[string]any {
		x := map[string]any{"model": name, "prompt": "hello", "max_tokens": 24, "temperature": 0}
		if more != nil {
			x["steer"] = more
		}
		return x
	}
	text := func(more map[string]any) string {
		out, _ := ask[Completion](t, url+"/v1/completions", body("m", more), 200)
		return out.Choices[0].Text
	}
	plain := text(nil)
	steered := text(map[string]any{"feature": "0:3"})
	if asked != "neither" || steered == plain {
		t.Errorf("asked for %s, text %q and without %q", asked, steered, plain)
	}
	if again := text(map[string]any{"feature": "0:3", "kl": 0.1}); asked != "kl" || again != steered {
		t.Errorf("asked for %s, text %q, want %q", asked, again, steered)
	}
	if none := text(map[string]any{"feature": "0:3", "alpha": 0}); asked != "alpha" || none != plain {
		t.Errorf("asked for %s, text %q, want %q", asked, none, plain)
	}
	for name, x := range map[string]map[string]any{
		"another feature": body("m", map[string]any{"feature": "9:9"}),
		"both":            body("m", map[string]any{"feature": "0:3", "kl": 1, "alpha": 1}),
		"none served":     body("bare", map[string]any{"feature": "0:3"}),
	} {
		if out, _ := ask[failure](t, url+"/v1/completions", x, 400); out.Error.Param != "steer" {
			t.Errorf("%s: %+v", name, out)
		}
	}
}
