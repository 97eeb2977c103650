package decoder

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
)

// TestDeclareFillSession: a declared network has names and shapes and no memory; filled from another's arrays, its session
// has the scores of that, and what was missing is drawn as in a session of its own.
func TestDeclareFillSession(t *testing.T) {
	for _, variant := range []string{"mha", "gpt2", "mla"} {
		s := small(t, tensor.Float32, variant, tapLogits)
		arrays := map[string]nn.Array{}
		for _, name := range s.Store().Names() {
			arrays[name] = nn.Array{Shape: s.Store().Shape(name), Data: s.Store().Get(name).Data()}
		}
		const lost = "model.norm.weight"
		delete(arrays, lost)
		store := nn.NewStore(tensor.Float32)
		if err := model.Declare(s.Network(), store, model.Options{}); err != nil {
			t.Fatal(err)
		}
		if store.Virtual || !slices.Equal(store.Names(), s.Store().Names()) || store.Get(lost) != nil {
			t.Errorf("%s: declared %q, virtual %v", variant, store.Names(), store.Virtual)
		}
		missing, unused, err := store.Fill(arrays)
		if err != nil || !slices.Equal(missing, []string{lost}) || len(unused) > 0 {
			t.Fatalf("%s: missing %q, unused %q, %v", variant, missing, unused, err)
		}
		filled, err := model.NewSession(s.Network(), store, tapLogits)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Store().Get(lost).Float32s() {
			s.Store().Get(lost).Float32s()[i] = 1 // where norms start
		}
		text := tokensOf(9, "declared")
		if !slices.Equal(logitsOf(t, filled, text), logitsOf(t, s, text)) {
			t.Errorf("%s: other scores than those of the network that it was filled from", variant)
		}
	}
}
