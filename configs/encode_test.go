package configs

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEncode(t *testing.T) {
	three := 3
	cfg := defaults()
	cfg.Name = "a \"quoted\"\\ name\nof two\tlines\x01\x7f é"
	cfg.Model.Linear = []testLinear{{"*.mlp.*", 16, 0.03}, {"*", 0, 1e-300}}
	cfg.Train.Files, cfg.Train.Shape = []string{"a", "b,c"}, [][]int{{1, 2}, {}, {-3}}
	cfg.Train.Warmup, cfg.Train.Freeze = &three, &testLinear{Match: "x"}
	cfg.Train.GradClip, cfg.Train.Seed = 0.1, math.MaxInt64
	want := `name = "a \"quoted\"\\ name\nof two\tlines\u0001\u007F é"

[model]
d_model = 64
n_layer = 2

[model.attention]
kind = "mha"
n_head = 4

[[model.linear]]
match = "*.mlp.*"
rank = 16
density = 0.03

[[model.linear]]
match = "*"
rank = 0
density = 1e-300

[train]
steps = 100
learning_rate = 0.003
small = 0
seed = 9223372036854775807
grad_clip = 0.1
betas = [0.9, 0.999]
files = ["a", "b,c"]
shape = [[1, 2], [], [-3]]
resume = false
warmup = 3

[train.freeze]
match = "x"
rank = 0
density = 0.0
`
	text, err := Encode(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("Encode (-want +got):\n%s", diff)
	}
	checkRoundTrip(t, cfg)
}

// checkRoundTrip decodes the encoding of cfg over the defaults and wants cfg back.
func checkRoundTrip(t *testing.T, cfg testConfig) {
	t.Helper()
	text, err := Encode(cfg)
	if err != nil {
		t.Fatalf("Encode = %v", err)
	}
	got := defaults()
	if err := Decode("encoded.toml", text, &got, Options{}); err != nil {
		t.Fatalf("Decode of\n%s= %v", text, err)
	}
	if diff := cmp.Diff(cfg, got, cmp.AllowUnexported(testTrain{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Decode(Encode(x)) (-want +got):\n%s\nof\n%s", diff, text)
	}
}

func TestRoundTrips(t *testing.T) {
	tests := []struct {
		name string
		set  func(*testConfig)
	}{
		{"defaults", func(*testConfig) {}},
		{"floats without a point", func(c *testConfig) { c.Train.LearningRate, c.Train.Betas = 100, [2]float64{1e21, math.Copysign(0, -1)} }},
		{"smallest and largest", func(c *testConfig) {
			c.Train.LearningRate, c.Train.GradClip = math.SmallestNonzeroFloat64, math.MaxFloat32
			c.Train.Small = math.MinInt8
		}},
		{"empty string", func(c *testConfig) { c.Name = "" }},
		{"carriage return and byte order mark", func(c *testConfig) { c.Name = "\ufeff\r\n\x00" }},
		{"a table's slice in a slice's table", func(c *testConfig) { c.Train.Shape = [][]int{{}} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := defaults()
			tt.set(&cfg)
			checkRoundTrip(t, cfg)
		})
	}
}

// An empty list must overrule a default that is not empty.
func TestEncodeSpellsOutEmptyLists(t *testing.T) {
	src := testConfig{Name: "x", Model: testModel{DModel: 4, Attention: testAttention{NHead: 2}}}
	text, err := Encode(src)
	if err != nil {
		t.Fatal(err)
	}
	dst := defaults()
	dst.Model.Linear, dst.Train.Files = []testLinear{{Match: "*"}}, []string{"default"}
	if err := Decode("encoded.toml", text, &dst, Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(src, dst, cmp.AllowUnexported(testTrain{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEncodeRefuses(t *testing.T) {
	type inner struct {
		F float64 `toml:"f"`
	}
	tests := []struct {
		name string
		src  any
		want string
	}{
		{"no struct", 3, "configs: encode int; want a struct"},
		{"nil", (*testConfig)(nil), "want a struct"},
		{"NaN", struct {
			List []float64 `toml:"list"`
		}{[]float64{1, math.NaN()}}, "configs: encode list.1 = NaN; want a finite number"},
		{"infinity in a table", struct {
			In inner `toml:"in"`
		}{inner{math.Inf(1)}}, "configs: encode in.f = +Inf; want a finite number"},
		{"unsigned", struct {
			U uint64 `toml:"u"`
		}{math.MaxUint64}, "configs: encode u = 18446744073709551615; TOML holds integers up to 9223372036854775807"},
		{"not UTF-8", struct {
			S string `toml:"s"`
		}{"\xff"}, `configs: encode s = "\xff"; want UTF-8`},
		{"map", struct {
			M map[string]int `toml:"m"`
		}{}, "which a config cannot hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Encode(tt.src); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Encode(%v) = %v, want %q", tt.src, err, tt.want)
			}
		})
	}
}

// FuzzDecode: no text and no override makes Decode panic; every problem names a place; what is accepted comes back
// from its encoding.
func FuzzDecode(f *testing.F) {
	f.Add("name = 'x'\n[model]\nd_modle = 3\n[[model.linear]]\nrank = -1\n", "model.linear.0.rank=8")
	f.Add("model = {attention = {n_head = 3}}", "train={steps=1}")
	f.Add("[train]\nbetas = [1, 2, 3]\nshape = [[1], 2]\nfreeze.rank = 1", "train.betas.1=nan")
	f.Add("train.warmup = 1\nmodel.linear = [{match = 'a'}, {}]", "model.linear=[]")
	f.Add("\xff\xfea\x00=\x001\x00", "=")
	f.Fuzz(func(t *testing.T, text, set string) {
		cfg := defaults()
		err := Decode("f.toml", []byte(text), &cfg, Options{Set: []string{set}})
		if err == nil {
			checkRoundTrip(t, cfg)
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("error %v is no Problems", err)
		}
		last := strings.Count(text, "\n") + 1
		for _, p := range problems {
			inFile := p.File == "f.toml" && p.Line >= 1 && p.Line <= last
			inSet := p.File == "--set "+set && p.Line == 0
			if !inFile && !inSet || p.Message == "" {
				t.Errorf("problem %+v of a text of %d lines", p, last)
			}
		}
	})
}
