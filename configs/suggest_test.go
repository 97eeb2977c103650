package configs

import "testing"

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"d_modle", "d_model", 1}, {"kitten", "sitting", 3},
		{"steps", "step", 1}, {"ab", "ba", 1}, {"ca", "abc", 3},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"steps", "batch_size", "learning_rate", "lr", "rank"}
	for name, want := range map[string]string{
		"step": "steps", "batchsize": "batch_size", "learningrate": "learning_rate", "learning_rte": "learning_rate",
		"rnak": "rank", "l": "lr", "momentum": "", "x": "", "size": "",
	} {
		if got, ok := nearest(name, keys); got != want || ok != (want != "") {
			t.Errorf("nearest(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}
