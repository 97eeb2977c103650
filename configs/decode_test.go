package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testAttention, testModel, testLinear, testTrain and testConfig are a schema with every kind of field.
type testAttention struct {
	Kind  string `toml:"kind"`
	NHead int    `toml:"n_head"`
}

type testLinear struct {
	Match   string  `toml:"match"`
	Rank    int     `toml:"rank"`
	Density float64 `toml:"density"`
}

func (l *testLinear) SetDefaults() { l.Density = 0.5 }

func (l testLinear) Validate(r *Report) {
	if l.Rank < 0 {
		r.Errorf("rank", "is negative; want at least 0")
	}
	if l.Match == "" {
		r.Errorf("", "has no match; want a name pattern")
	}
}

type testModel struct {
	DModel    int           `toml:"d_model"`
	NLayer    int32         `toml:"n_layer"`
	Attention testAttention `toml:"attention"`
	Linear    []testLinear  `toml:"linear"`
}

func (m *testModel) Validate(r *Report) {
	if m.DModel <= 0 {
		r.Errorf("d_model", "is not positive")
	} else if m.Attention.NHead < 1 || m.DModel%m.Attention.NHead != 0 {
		r.Errorf("attention.n_head", "does not divide [model] d_model = %d", m.DModel)
	}
}

type testClip struct {
	GradClip float32 `toml:"grad_clip"`
}

func (c testClip) Validate(r *Report) {
	if c.GradClip < 0 {
		r.Errorf("grad_clip", "is negative")
	}
}

type testTrain struct {
	Steps        int     `toml:"steps"`
	LearningRate float64 `toml:"learning_rate"`
	testHidden
	testClip
	Betas  [2]float64  `toml:"betas"`
	Files  []string    `toml:"files"`
	Shape  [][]int     `toml:"shape"`
	Resume bool        `toml:"resume"`
	Warmup *int        `toml:"warmup"`
	Freeze *testLinear `toml:"freeze"`
	Notes  string      `toml:"-"`
}

type testHidden struct {
	Small int8   `toml:"small"`
	Seed  uint64 `toml:"seed"`
}

type testConfig struct {
	Name  string    `toml:"name"`
	Model testModel `toml:"model"`
	Train testTrain `toml:"train"`
}

func (c *testConfig) Validate(r *Report) {
	if c.Train.Steps < int(c.Model.NLayer) {
		r.Errorf("train.steps", "is less than [model] n_layer = %d", c.Model.NLayer)
	}
	if c.Name == "bad" {
		r.Errorf("name", "is taken")
	}
}

func defaults() testConfig {
	return testConfig{
		Name:  "tiny",
		Model: testModel{DModel: 64, NLayer: 2, Attention: testAttention{Kind: "mha", NHead: 4}},
		Train: testTrain{Steps: 100, LearningRate: 3e-3, Betas: [2]float64{0.9, 0.999}},
	}
}

func TestDecodeProblems(t *testing.T) {
	tests := []struct {
		name string
		text string
		set  []string
		want string
	}{
		{"unknown key", "[model]\nd_modle = 3\n", nil,
			`f.toml:2: unknown key "d_modle" in [model]; did you mean "d_model"?`},
		{"unknown key hides its own default's failure", "[model]\nd_modle = 3\nd_model = 0\n", nil,
			`f.toml:2: unknown key "d_modle" in [model]; did you mean "d_model"?`},
		{"unknown key at the top", "nam = 'x'\n", nil, `f.toml:1: unknown key "nam"; did you mean "name"?`},
		{"unknown key of another table", "[model]\nn_head = 3\n", nil,
			`f.toml:2: unknown key "n_head" in [model]; did you mean [model.attention] n_head?`},
		{"unknown key like none", "[model.attention]\nxyzzy = 3\n", nil,
			`f.toml:2: unknown key "xyzzy" in [model.attention]; known keys: kind, n_head`},
		{"unknown table", "[optimizer]\nx = 3\n", nil, `f.toml:1: unknown table [optimizer]; known keys: name, model, train`},
		{"unknown table, misspelt", "\n[trian]\nx = 3\n", nil, `f.toml:2: unknown key "trian"; did you mean "train"?`},
		{"unknown key in the second element", "[[model.linear]]\nmatch='a'\n[[model.linear]]\nmatch='b'\nrang = 1", nil,
			`f.toml:5: unknown key "rang" in [[model.linear]]; did you mean "rank"?`},
		{"key of a different case", "[model]\nD_model = 64\n", nil,
			`f.toml:2: unknown key "D_model" in [model]; did you mean "d_model"?`},
		{"string for integer", "[model]\nd_model = \"abc\"", nil,
			`f.toml:2: [model] d_model = "abc" is a string; want an integer`},
		{"float for integer", "[model]\nd_model = 64.0", nil, `f.toml:2: [model] d_model = 64.0 is a float; want an integer`},
		{"integer for string", "name = 3", nil, `f.toml:1: name = 3 is an integer; want a string`},
		{"string for boolean", "[train]\nresume = 'yes'", nil, `f.toml:2: [train] resume = "yes" is a string; want true or false`},
		{"boolean for number", "[train]\nlearning_rate = true", nil,
			`f.toml:2: [train] learning_rate = true is a boolean; want a number`},
		{"date for string", "name = 2026-01-02T03:04:05Z", nil,
			`f.toml:1: name = 2026-01-02T03:04:05Z is a date or time; want a string`},
		{"scalar for table", "model = 3", nil, `f.toml:1: [model] = 3 is an integer; want a table`},
		{"table for scalar", "[model.d_model]\nx = 1", nil, `f.toml:1: [model] d_model is a table; want an integer`},
		{"table for array of tables", "[model.linear]\nrank = 1", nil,
			`f.toml:1: [[model.linear]] is a table; want an array of tables`},
		{"array of tables for table", "[[model]]\nd_model = 1", nil, `f.toml:1: [model] is an array of tables; want a table`},
		{"scalar for array", "[train]\nfiles = 'a'", nil, `f.toml:2: [train] files = "a" is a string; want an array of strings`},
		{"one wrong element", "[train]\nfiles = [\n  'a', # one\n  2,\n]", nil,
			`f.toml:4: [train] files[1] = 2 is an integer; want a string`},
		{"wrong element of a nested array", "[train]\nshape = [[1], [2, 'x']]", nil,
			`f.toml:2: [train] shape[1][1] = "x" is a string; want an integer`},
		{"wrong length", "[train]\nbetas = [0.9]", nil, `f.toml:2: [train] betas has 1 elements; want 2`},
		{"overflow of 8 bits", "[train]\nsmall = 300", nil,
			`f.toml:2: [train] small = 300 is out of range; want an integer from -128 to 127`},
		{"overflow of 32 bits", "[model]\nn_layer = -3000000000", nil,
			`f.toml:2: [model] n_layer = -3000000000 is out of range; want an integer from -2147483648 to 2147483647`},
		{"negative unsigned", "[train]\nseed = -1", nil,
			`f.toml:2: [train] seed = -1 is out of range; want an integer from 0 to 9223372036854775807`},
		{"beyond 64 bits", "\n[train]\nseed = 99999999999999999999", nil,
			`f.toml:3: invalid TOML: 99999999999999999999 is out of range for int64`},
		{"not a number", "[train]\nlearning_rate = nan", nil,
			`f.toml:2: [train] learning_rate = nan is not a finite float64; want a number`},
		{"infinite", "[train]\nlearning_rate = -inf", nil,
			`f.toml:2: [train] learning_rate = -inf is not a finite float64; want a number`},
		{"overflow of float32", "[train]\ngrad_clip = 1e300", nil,
			`f.toml:2: [train] grad_clip = 1e+300 is not a finite float32; want a number`},
		{"long value is cut", "[model]\nd_model = '" + strings.Repeat("é", 100) + "'", nil,
			`f.toml:2: [model] d_model = "` + strings.Repeat("é", 28) + `... is a string; want an integer`},

		{"validation in a nested table", "[model]\nd_model = 64\n[model.attention]\nkind = 'mha'\nn_head = 3\n", nil,
			`f.toml:5: [model.attention] n_head = 3 does not divide [model] d_model = 64`},
		{"validation of a default takes the table's line", "\n[model]\nd_model = 63\n", nil,
			`f.toml:2: [model.attention] n_head = 4 does not divide [model] d_model = 63`},
		{"validation with no table at all", "", []string{"train.steps=1"},
			`--set train.steps=1: [train] steps = 1 is less than [model] n_layer = 2`},
		{"validation of an unwritten value", "[model]\nn_layer = 101", nil,
			`f.toml:1: [train] steps = 100 is less than [model] n_layer = 101`},
		{"validation at the top", "name = 'bad'", nil, `f.toml:1: name = "bad" is taken`},
		{"validation of a lent key, once", "[train]\ngrad_clip = -1", nil, `f.toml:2: [train] grad_clip = -1.0 is negative`},
		{"validation of an element", "[[model.linear]]\nmatch = '*'\n\n[[model.linear]]\nmatch = '*'\nrank = -1\n", nil,
			`f.toml:6: [[model.linear]] rank = -1 is negative; want at least 0`},
		{"validation of a whole element", "[[model.linear]]\nmatch = '*'\n[[model.linear]]\nrank = 1\n", nil,
			`f.toml:3: [[model.linear]] has no match; want a name pattern`},
		{"validation of an inline element", "[model]\nlinear = [\n{match='*'},\n{match='*', rank=-1}]", nil,
			`f.toml:4: [[model.linear]] rank = -1 is negative; want at least 0`},
		{"validation behind a pointer", "[train.freeze]\nrank = -1\nmatch='*'", nil,
			`f.toml:2: [train.freeze] rank = -1 is negative; want at least 0`},
		{"dotted key", "model.attention.n_head = 3", nil,
			`f.toml:1: [model.attention] n_head = 3 does not divide [model] d_model = 64`},
		{"inline table", "name = 'x'\nmodel = {attention = {n_head = 3}}", nil,
			`f.toml:2: [model.attention] n_head = 3 does not divide [model] d_model = 64`},
		{"a wrong type is not validated as well", "[model]\nd_model = 'x'\nattention.n_head = 4", nil,
			`f.toml:2: [model] d_model = "x" is a string; want an integer`},

		{"syntax", "a = 1\nb = = 2\n", nil, `f.toml:2: invalid TOML: expected value but found '=' instead`},
		{"key twice", "name = 'a'\nname = 'b'\n", nil, `f.toml:2: invalid TOML: Key 'name' has already been defined.`},
		{"unclosed string", "name = 'a\n", nil, `f.toml:1: invalid TOML: strings cannot contain newlines`},

		{"set unknown", "", []string{"model.d_modle=3"},
			`--set model.d_modle=3: unknown key "d_modle" in [model]; did you mean "d_model"?`},
		{"set without value", "", []string{"model"}, `--set model: want KEY=VALUE, such as train.steps=100`},
		{"set with empty part", "", []string{"model..x=1"}, `--set model..x=1: want KEY=VALUE, such as train.steps=100`},
		{"set wrong type", "", []string{"model.d_model=abc"},
			`--set model.d_model=abc: [model] d_model = "abc" is a string; want an integer`},
		{"set below a scalar", "", []string{"name.x=1"}, `--set name.x=1: name is a string, not a table; it has no key "x"`},
		{"set missing element", "", []string{"model.linear.0.rank=1"},
			`--set model.linear.0.rank=1: [[model.linear]] has 0 elements, counted from 0; there is no "0"`},
		{"set fails validation", "[model]\nattention.n_head = 4\n", []string{"model.attention.n_head=3"},
			`--set model.attention.n_head=3: [model.attention] n_head = 3 does not divide [model] d_model = 64`},
		{"set an element", "[[model.linear]]\nmatch='*'\nrank=1", []string{"model.linear.0.rank=-2"},
			`--set model.linear.0.rank=-2: [[model.linear]] rank = -2 is negative; want at least 0`},
		{"set an array of tables", "[[model.linear]]\nmatch='*'\nrank=1", []string{`model.linear=[{match="a", rank=-2}]`},
			`--set model.linear=[{match="a", rank=-2}]: [[model.linear]] rank = -2 is negative; want at least 0`},
		{"set smuggles a second key", "", []string{"train.steps=1\nx=2"},
			"--set train.steps=1\nx=2: [train] steps = \"1\\nx=2\" is a string; want an integer"},

		{"several at once, in order", `name = 3
# a comment
[model]
d_modle = 64
n_layer = "two"
[model.attention]
n_head = 3
[train]
steps = -5
resume = 1
`, []string{"train.seed=-1", "model.x=1"}, strings.Join([]string{
			`f.toml:1: name = 3 is an integer; want a string`,
			`f.toml:4: unknown key "d_modle" in [model]; did you mean "d_model"?`,
			`f.toml:5: [model] n_layer = "two" is a string; want an integer`,
			`f.toml:7: [model.attention] n_head = 3 does not divide [model] d_model = 64`,
			`f.toml:9: [train] steps = -5 is less than [model] n_layer = 2`,
			`f.toml:10: [train] resume = 1 is an integer; want true or false`,
			`--set train.seed=-1: [train] seed = -1 is out of range; want an integer from 0 to 9223372036854775807`,
			`--set model.x=1: unknown key "x" in [model]; known keys: d_model, n_layer, attention, linear`,
		}, "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := defaults()
			err := Decode("f.toml", []byte(tt.text), &cfg, Options{Set: tt.set})
			if err == nil {
				t.Fatalf("Decode(%q, set %q) = nil, want\n%s", tt.text, tt.set, tt.want)
			}
			if !errors.Is(err, ErrConfig) {
				t.Errorf("Decode(%q): errors.Is(err, ErrConfig) = false", tt.text)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("Decode(%q, set %q) error (-want +got):\n%s", tt.text, tt.set, diff)
			}
		})
	}
}

func TestDecodeValues(t *testing.T) {
	three := 3
	tests := []struct {
		name string
		text string
		set  []string
		want func(*testConfig)
	}{
		{"nothing keeps the defaults", "", nil, func(c *testConfig) {}},
		{"integer into float", "[train]\nlearning_rate = 1", nil, func(c *testConfig) { c.Train.LearningRate = 1 }},
		{"dotted and inline", "model.d_model = 8\ntrain = {steps = 3, betas = [0, 1]}", nil, func(c *testConfig) {
			c.Model.DModel, c.Train.Steps, c.Train.Betas = 8, 3, [2]float64{0, 1}
		}},
		{"lent keys", "[train]\nsmall = -128\nseed = 9223372036854775807\ngrad_clip = 0.1", nil, func(c *testConfig) {
			c.Train.Small, c.Train.Seed, c.Train.GradClip = -128, 1<<63-1, 0.1
		}},
		{"elements start from their defaults", "[[model.linear]]\nmatch='a'\n[[model.linear]]\nmatch='b'\ndensity=1", nil,
			func(c *testConfig) { c.Model.Linear = []testLinear{{"a", 0, 0.5}, {"b", 0, 1}} }},
		{"pointers", "[train]\nwarmup = 3\nfreeze = {match='a'}", nil, func(c *testConfig) {
			c.Train.Warmup, c.Train.Freeze = &three, &testLinear{"a", 0, 0.5}
		}},
		{"quoted keys and multi-line strings", "\"name\" = \"\"\"\na\nb\"\"\"\n['model']\n'd_model' = 8", nil, func(c *testConfig) {
			c.Name, c.Model.DModel = "a\nb", 8
		}},
		{"byte order mark and CRLF", "\ufeffname = 'a'\r\n[model]\r\nd_model = 8\r\n", nil, func(c *testConfig) {
			c.Name, c.Model.DModel = "a", 8
		}},
		{"set bare string", "", []string{"name=hello world"}, func(c *testConfig) { c.Name = "hello world" }},
		{"set string that looks like a number", "", []string{"name=007", "model.attention.kind=true"}, func(c *testConfig) {
			c.Name, c.Model.Attention.Kind = "007", "true"
		}},
		{"set quoted string", "", []string{`name="a=b"`}, func(c *testConfig) { c.Name = "a=b" }},
		{"set empty string", "", []string{"name="}, func(c *testConfig) { c.Name = "" }},
		{"set wins over the file, the last over the first", "name = 'a'", []string{"name=b", "name=c"}, func(c *testConfig) { c.Name = "c" }},
		{"set mends the file's value", "[model]\nattention.n_head = 3", []string{"model.attention.n_head=2"}, func(c *testConfig) {
			c.Model.Attention.NHead = 2
		}},
		{"set array, element, pointer and table", "", []string{
			"train.files=['a', 'b']", "train.files.1=c", "train.warmup=3", "train.freeze.match=a", "train.betas.0=0.5",
			"model={d_model=8, n_layer=3}",
		}, func(c *testConfig) {
			c.Train.Files, c.Train.Warmup, c.Train.Freeze = []string{"a", "c"}, &three, &testLinear{"a", 0, 0.5}
			c.Train.Betas[0], c.Model.DModel, c.Model.NLayer = 0.5, 8, 3
		}},
		{"set an element of the file's tables", "[[model.linear]]\nmatch='a'", []string{"model.linear.0.rank=8"}, func(c *testConfig) {
			c.Model.Linear = []testLinear{{"a", 8, 0.5}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := defaults(), defaults()
			tt.want(&want)
			if err := Decode("f.toml", []byte(tt.text), &got, Options{Set: tt.set}); err != nil {
				t.Fatalf("Decode(%q, set %q) = %v", tt.text, tt.set, err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(testTrain{})); diff != "" {
				t.Errorf("Decode(%q, set %q) (-want +got):\n%s", tt.text, tt.set, diff)
			}
		})
	}
}

func TestDecodeLeavesSharedDefaultsAlone(t *testing.T) {
	shared := func() (testConfig, func() string) {
		warmup, freeze := 5, testLinear{Match: "a"}
		linear, files := []testLinear{{"a", 1, 1}}, []string{"a"}
		cfg := defaults()
		cfg.Train.Warmup, cfg.Train.Freeze, cfg.Model.Linear, cfg.Train.Files = &warmup, &freeze, linear, files
		return cfg, func() string { return fmt.Sprint(warmup, freeze, linear, files) }
	}
	tests := []struct {
		name string
		text string
		set  []string
	}{
		{"file", "[train]\nwarmup = 7\nfreeze.match = 'b'\nfiles = ['b']\n[[model.linear]]\nmatch='b'", nil},
		{"overrides", "", []string{"train.warmup=7", "train.freeze.match=b", "train.files.0=b", "model.linear.0.match=b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, show := shared()
			want := show()
			if err := Decode("f.toml", []byte(tt.text), &cfg, Options{Set: tt.set}); err != nil {
				t.Fatal(err)
			}
			if got := show(); got != want {
				t.Errorf("the defaults became %s, want %s", got, want)
			}
			if *cfg.Train.Warmup != 7 || cfg.Train.Freeze.Match != "b" || cfg.Train.Files[0] != "b" || cfg.Model.Linear[0].Match != "b" {
				t.Errorf("decoded %+v", cfg)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.toml")
	big := filepath.Join(dir, "big.toml")
	for path, text := range map[string]string{good: "name = 'x'\n", big: strings.Repeat("# padding\n", maxBytes/10+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := defaults()
	if err := Load(good, &cfg, Options{Set: []string{"train.steps=7"}}); err != nil || cfg.Name != "x" || cfg.Train.Steps != 7 {
		t.Errorf("Load(good) = %v, name %q, steps %d", err, cfg.Name, cfg.Train.Steps)
	}
	nope := filepath.Join(dir, "nope.toml")
	for path, want := range map[string]string{
		nope: nope + ": no such file",
		dir:  dir + ": is a folder; want a TOML file",
		big:  big + ": is 1048580 bytes; want a config of at most 1048576",
	} {
		err := Load(path, &cfg, Options{})
		if err == nil || err.Error() != want || !errors.Is(err, ErrConfig) {
			t.Errorf("Load(%q) = %v, want %s", path, err, want)
		}
	}
}

func TestDestinationMustBeAStructThatCanBeFilled(t *testing.T) {
	type loop struct {
		Inner []loop `toml:"inner"`
	}
	tests := []struct {
		name string
		dst  any
		want string
	}{
		{"no pointer", testConfig{}, "want a non-nil pointer to a struct"},
		{"nil", (*testConfig)(nil), "want a non-nil pointer to a struct"},
		{"map", &struct {
			M map[string]int `toml:"m"`
		}{}, "M has type map[string]int, which a config cannot hold"},
		{"no tag", &struct{ A int }{}, "A has no toml tag"},
		{"same tag twice", &struct {
			A int `toml:"a"`
			B int `toml:"a"`
		}{}, `two fields tagged "a"`},
		{"contains itself", &loop{}, "contains its own type"},
		{"slice of pointers", &struct {
			A []*int `toml:"a"`
		}{}, "elements that are pointers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Decode("f.toml", nil, tt.dst, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrConfig) {
				t.Errorf("Decode into %T = %v, want %q and not ErrConfig", tt.dst, err, tt.want)
			}
		})
	}
}
