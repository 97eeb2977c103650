package kinds_test

import (
	"errors"
	"strings"
	"testing"

	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/kinds"
)

// config is one of a source and a kind of network.
func config(source, network string) recipe.Config {
	c := recipe.Default()
	c.Data = recipe.Data{}
	for _, s := range recipe.Sources() {
		if s.Name == source {
			c.Data = recipe.From(s.New())
		}
	}
	c.Model.Choose(network, recipe.Lists())
	return c
}

// TestOneFits: data and network decide the task, and of those that fit nothing each says why.
func TestOneFits(t *testing.T) {
	for _, c := range []struct{ source, network, want string }{
		{"goroot", "decoder", "language"}, {"text", "encoder", "masked"}, {"imdb", "encoder", "texts"}, {"tsv", "lama", "texts"}, {"mnist", "favit", "vision"},
		{"imdb", "decoder", ""}, {"goroot", "lama", ""}, {"mnist", "encoder", ""}, {"text", "favit", ""},
		{"", "decoder", "language"}, {"", "favit", "vision"},
	} {
		var fit []string
		for _, k := range kinds.All() {
			if k.Fits(config(c.source, c.network)) == nil {
				fit = append(fit, k.Name)
			}
		}
		if got := strings.Join(fit, " "); got != c.want {
			t.Errorf("%q and %q: fits %q, want %q", c.source, c.network, got, c.want)
		}
		_, err := kinds.Open(kinds.All(), config(c.source, c.network), nil)
		if (err == nil) != (c.want != "") || err != nil && !errors.Is(err, task.ErrUsage) {
			t.Errorf("%q and %q: %v", c.source, c.network, err)
		}
	}
}

// TestNamed: [task] kind chooses where two fit, and names what does not.
func TestNamed(t *testing.T) {
	c := config("", "encoder") // an imported network, whose data is not known
	if _, err := kinds.Open(kinds.All(), c, nil); err == nil || !strings.Contains(err.Error(), `both "masked" and "texts" fit`) {
		t.Errorf("two fit: %v", err)
	}
	for name, want := range map[string]string{"masked": "", "texts": "", "vision": "no kind fits data and network: vision: ", "sums": `[task] kind = "sums" is unknown; want one of "language"`} {
		c.Task = &recipe.Task{Kind: name}
		if _, err := kinds.Open(kinds.All(), c, nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("[task] kind = %q: %v, want %q", name, err, want)
		}
	}
}
