package configs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testShape is a table whose defaults depend on its kind.
type testShape struct {
	Kind  string `toml:"kind"`
	Sides int    `toml:"sides"`
	Width int    `toml:"width"`
}

func (s *testShape) SetDefaults() { *s = testShape{"round", 0, 1} }

func (s *testShape) UseKind(kind string) {
	if kind == "square" {
		*s = testShape{kind, 4, 2}
	}
}

func (s testShape) Validate(r *Report) {
	if s.Kind == "round" && s.Sides > 0 {
		r.Errorf("sides", "is not for kind = %q", s.Kind)
	}
}

type testShapes struct {
	One  testShape   `toml:"one"`
	May  *testShape  `toml:"may"`
	Many []testShape `toml:"many"`
}

// TestKinds: whoever gives a table's kind, the file or an override, its other keys start from the defaults of that kind and
// are then what file and overrides say, in whatever order.
func TestKinds(t *testing.T) {
	square, wide := testShape{"square", 4, 2}, testShape{"square", 4, 9}
	round := testShape{"round", 0, 1}
	for _, c := range []struct {
		name, text string
		set        []string
		want       testShapes
	}{
		{"file", "[one]\nwidth = 9\nkind = 'square'", nil, testShapes{One: wide}},
		{"set, no table", "", []string{"one.kind=square"}, testShapes{One: square}},
		{"set, a table without a kind", "[one]\nwidth = 9", []string{"one.kind=square"}, testShapes{One: wide}},
		{"set, a table of another kind", "[one]\nkind = 'round'\nwidth = 9", []string{"one.kind=square"}, testShapes{One: wide}},
		{"set the kind that it has", "[one]\nkind = 'square'\nwidth = 9", []string{"one.kind=square"}, testShapes{One: wide}},
		{"set, then another key", "", []string{"one.kind=square", "one.width=9"}, testShapes{One: wide}},
		{"set after another key", "", []string{"one.width=9", "one.kind=square"}, testShapes{One: wide}},
		{"set over a whole table", "", []string{"one={kind='round'}", "one.kind=square"}, testShapes{One: square}},
		{"set twice", "", []string{"one.kind=square", "one.kind=other"}, testShapes{One: testShape{"other", 4, 2}}},
		{"set behind a pointer", "", []string{"may.kind=square"}, testShapes{One: round, May: &square}},
		{"set behind the file's pointer", "[may]\nwidth = 9", []string{"may.kind=square"}, testShapes{One: round, May: &wide}},
		{"set an element", "[[many]]\n[[many]]\nwidth = 9", []string{"many.1.kind=square"}, testShapes{One: round, Many: []testShape{round, wide}}},
		{"set an inline element", "many = [{}, {width=9}]", []string{"many.1.kind=square"}, testShapes{One: round, Many: []testShape{round, wide}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got testShapes
			got.One.SetDefaults()
			if err := Decode("f.toml", []byte(c.text), &got, Options{Set: c.set}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestKindErrors: a kind of an override is checked against the keys of the file, and mistakes are where they were made.
func TestKindErrors(t *testing.T) {
	for _, c := range []struct{ name, text, set, want string }{
		{"key of another kind", "[one]\nkind = 'square'\nsides = 4", "one.kind=round", `f.toml:3: [one] sides = 4 is not for kind = "round"`},
		{"no such table", "", "two.kind=round", `--set two.kind=round: unknown key "two"; known keys: one, may, many`},
		{"no such element", "", "many.0.kind=round", `--set many.0.kind=round: [[many]] has 0 elements, counted from 0; there is no "0"`},
		{"not a text", "", "may.kind.x=round", `--set may.kind.x=round: [may] kind is a string, not a table; it has no key "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got testShapes
			got.One.SetDefaults()
			if err := Decode("f.toml", []byte(c.text), &got, Options{Set: []string{c.set}}); err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}
