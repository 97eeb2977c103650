package kinds_test

import (
	"errors"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/model/favit"
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
	if body, ok := c.Model.Of.(favit.Body); ok {
		body.Variant = "tiny" // which sees images of 28 pixels
		c.Model.Of = body
	}
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
			if !k.Named && k.Fits(config(c.source, c.network)) == nil {
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

// TestNearest: where no task fits, what speaks against the nearest is said by its key, at its line.
func TestNearest(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[data]\nsource = 'imdb'\n", `run.toml:1: [model] kind = "decoder" is not for [data] source = "imdb"; want encoder or lama`},
		{"[model]\nkind = 'lama'\n", `run.toml:2: [model] kind = "lama" is not for [data] source = "goroot"; want decoder or encoder`},
		{"[model]\nkind = 'encoder'\n[data]\nsource = 'mnist'\n", `run.toml:2: [model] kind = "encoder" is not for [data] source = "mnist"; want favit or vit`},
		{"[model]\nkind = 'favit'\n", `run.toml:2: [model] kind = "favit" is not for [data] source = "goroot"; want decoder or encoder`},
		{"[model]\nkind = 'encoder'\n[data]\nseq_len = 7\n", `run.toml:4: [data] seq_len = 7 is too short for a masked language model; want at least 8`},
		{"[model]\nkind = 'encoder'\n[sample]\nprompt = 'a'\n", `run.toml:4: [sample] prompt = "a" is for a decoder of text: other networks write none`},
		{"[eval]\nexamples = 3\n", `run.toml:2: [eval] examples = 3 is for labelled data, but [data] source = "goroot"; want tokens`},
		{"[eval]\nmetric = 'accuracy'\n", `run.toml:2: [eval] metric = "accuracy" is not measured on such data; want one of loss, perplexity`},
		{"[data]\nsource = 'mnist'\n[model]\nkind = 'favit'\n", `run.toml:3: [model.favit] variant = "b0" cannot look at images of 28 pixels`},
		{"[data]\nsource = 'imdb'\n[model]\nkind = 'encoder'\n[eval]\nmetric = 'f1'\nexamples = 3\n", ""},
		{"[task]\nkind = 'language'\n[model]\nkind = 'encoder'\n", ""}, // which Open says
	} {
		cfg := recipe.Default()
		check := func(r *configs.Report) { kinds.Check(kinds.All(), cfg, r) }
		err := configs.Decode("run.toml", []byte(c.text), &cfg, configs.Options{Lists: recipe.Lists(), Check: check})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
		if _, opened := kinds.Open(kinds.All(), cfg, nil); c.want != "" && (opened == nil || !errors.Is(opened, task.ErrUsage)) {
			t.Errorf("%q is opened: %v", c.text, opened)
		}
	}
	_, err := kinds.Open(kinds.All(), config("imdb", "decoder"), nil)
	if want := `[model] kind = "decoder" is not for [data] source = "imdb"; want encoder or lama`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestNamed: [task] kind chooses where two fit, and names what does not.
func TestNamed(t *testing.T) {
	c := config("", "encoder") // an imported network, whose data is not known
	if _, err := kinds.Open(kinds.All(), c, nil); err == nil || !strings.Contains(err.Error(), `both "masked" and "texts" fit`) {
		t.Errorf("two fit: %v", err)
	}
	for name, want := range map[string]string{"masked": "", "texts": "", "discover": "", "vision": "no kind fits data and network: vision: ", "sums": `[task] kind = "sums" is unknown; want one of "language"`} {
		c.Task = &recipe.Task{Kind: name}
		if _, err := kinds.Open(kinds.All(), c, nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("[task] kind = %q: %v, want %q", name, err, want)
		}
	}
}

// TestDiscoverFits: classes are discovered wherever single texts or images are labelled, and only by name.
func TestDiscoverFits(t *testing.T) {
	tsv := func(change func(*labelled.Table)) recipe.Config {
		c := config("tsv", "encoder")
		s := c.Data.Of.(labelled.Table)
		s.TextColumns, s.LabelColumn = []string{"text"}, "domain"
		change(&s)
		c.Data = recipe.From(s)
		return c
	}
	for _, c := range []struct {
		name, want string
		config     recipe.Config
	}{
		{"texts", "", tsv(func(*labelled.Table) {})},
		{"images", "", config("mnist", "favit")},
		{"pairs", "[data] text_columns has 2 columns; classes are discovered of single texts", tsv(func(s *labelled.Table) { s.TextColumns = []string{"a", "b"} })},
		{"scores", `[data] source = "tsv" has scores; want domains`, tsv(func(s *labelled.Table) { s.Regression = true })},
		{"a network of texts on images", `[model] kind = "encoder" is no model.Viewer`, config("mnist", "encoder")},
		{"text without labels", "want texts or images whose labels are the domains", config("goroot", "encoder")},
	} {
		c.config.Task = &recipe.Task{Kind: "discover"}
		c.config.Eval.Metric = "loss"
		_, err := kinds.Open(kinds.All(), c.config, nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
