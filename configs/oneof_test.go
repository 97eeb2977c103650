package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shape is a concept with kinds; disc, box and crate are its kinds, and star one from outside. A crate has a box's keys from a
// struct that it embeds, and a finish of its own, another concept whose key is not "kind".
type shape interface{ sides() int }

type disc struct {
	Radius float64 `toml:"radius" doc:"from the middle to the edge" unit:"cm"`
}

type box struct {
	Width  int   `toml:"width"`
	Notes  []int `toml:"notes"`
	Corner inset `toml:"corner"`
}

type inset struct {
	Depth int `toml:"depth"`
}

type crate struct {
	boards
	Paint OneOf[finish] `kind:"finish"`
}

type boards struct {
	Count int    `toml:"count"`
	Wood  string `toml:"wood" choices:"|oak|pine"`
}

type star struct {
	Points int `toml:"points"`
}

func (disc) sides() int   { return 0 }
func (box) sides() int    { return 4 }
func (crate) sides() int  { return 6 }
func (s star) sides() int { return 2 * s.Points }

func (b box) Validate(r *Report)   { r.AtLeast("width", 1) }
func (b crate) Validate(r *Report) { r.OneOf("wood") }

type finish interface{ coats() int }

type varnish struct {
	Coats int `toml:"coats"`
}

type raw struct{}

func (v varnish) coats() int { return v.Coats }
func (raw) coats() int       { return 0 }

func shapes() Lists {
	l := With(Lists{},
		Choice[shape]{"disc", func() shape { return disc{1} }},
		Choice[shape]{"box", func() shape { return box{Width: 2, Corner: inset{1}} }},
		Choice[shape]{"crate", func() shape { return crate{boards: boards{Count: 8}} }})
	return With(l,
		Choice[finish]{"raw", func() finish { return raw{} }},
		Choice[finish]{"varnish", func() finish { return varnish{3} }})
}

// rule embeds a OneOf, and drawing embeds what embeds it: neither may count as a OneOf itself.
type rule struct {
	Match string `toml:"match"`
	OneOf[shape]
	Scale float64 `toml:"scale"`
}

type drawing struct {
	rule
	Title string       `toml:"title"`
	Main  OneOf[shape] `toml:"main" doc:"the first"`
	Many  []rule       `toml:"many"`
	May   *rule        `toml:"may"`
}

func newDrawing() drawing {
	d := drawing{Title: "t", Main: OneOf[shape]{"box", box{Width: 5}}}
	d.OneOf = OneOf[shape]{"disc", disc{7}}
	return d
}

var exported = cmp.AllowUnexported(drawing{}, crate{})

// TestOneOf: file and overrides choose kinds, in whatever order and however deep; a table's other keys lie over the defaults of
// the kind that it ends with, and a kind that the defaults have chosen keeps its own.
func TestOneOf(t *testing.T) {
	for _, c := range []struct {
		name, text string
		set        []string
		want       func(*drawing)
	}{
		{"nothing", "", nil, func(*drawing) {}},
		{"a key of the default kind, shared", "radius = 9", nil, func(d *drawing) { d.Of = disc{9} }},
		{"a key of the default kind, in its table", "[main]\nwidth = 9", nil, func(d *drawing) { d.Main.Of = box{Width: 9} }},
		{"the default kind keeps its defaults", "kind = 'disc'\nscale = 2", nil, func(d *drawing) { d.Scale = 2 }},
		{"another kind", "width = 9\nkind = 'box'\nmatch = 'a'", nil, func(d *drawing) {
			d.Match, d.OneOf = "a", OneOf[shape]{"box", box{Width: 9, Corner: inset{1}}}
		}},
		{"a table of a kind", "kind = 'box'\ncorner.depth = 4", nil, func(d *drawing) {
			d.OneOf = OneOf[shape]{"box", box{Width: 2, Corner: inset{4}}}
		}},
		{"a kind in a kind", "[main]\nkind = 'crate'\nfinish = 'varnish'\ncoats = 1\nwood = 'oak'", nil, func(d *drawing) {
			d.Main = OneOf[shape]{"crate", crate{boards{8, "oak"}, OneOf[finish]{"varnish", varnish{1}}}}
		}},
		{"elements and pointers", "[[many]]\nkind = 'disc'\n[[many]]\nkind = 'box'\nwidth = 3\n[may]\nkind = 'disc'", nil, func(d *drawing) {
			d.Many = []rule{{OneOf: OneOf[shape]{"disc", disc{1}}}, {OneOf: OneOf[shape]{"box", box{Width: 3, Corner: inset{1}}}}}
			d.May = &rule{OneOf: OneOf[shape]{"disc", disc{1}}}
		}},
		{"set a key", "", []string{"radius=9", "main.width=3", "main.notes=[1]", "main.notes.0=4", "main.corner.depth=8"}, func(d *drawing) {
			d.Of, d.Main.Of = disc{9}, box{3, []int{4}, inset{8}}
		}},
		{"set a kind over the file's keys", "[main]\nradius = 9.0", []string{"main.kind=disc"}, func(d *drawing) { d.Main = OneOf[shape]{"disc", disc{9}} }},
		{"set a kind over the file's", "[main]\nkind = 'disc'\nwidth = 9", []string{"main.kind=box"}, func(d *drawing) { d.Main.Of = box{Width: 9} }},
		{"set a kind after its key", "", []string{"main.radius=9", "main.kind=disc"}, func(d *drawing) { d.Main = OneOf[shape]{"disc", disc{9}} }},
		{"set a kind twice", "", []string{"main.radius=9", "main.kind=crate", "main.kind=disc"}, func(d *drawing) { d.Main = OneOf[shape]{"disc", disc{9}} }},
		{"set a kind in a kind, backwards", "", []string{"main.coats=1", "main.finish=varnish", "main.kind=crate"}, func(d *drawing) {
			d.Main = OneOf[shape]{"crate", crate{boards{8, ""}, OneOf[finish]{"varnish", varnish{1}}}}
		}},
		{"set a kind in a kind over the file's keys", "[main]\nkind = 'crate'\nfinish='raw'\ncoats = 1", []string{"main.finish=varnish"}, func(d *drawing) {
			d.Main = OneOf[shape]{"crate", crate{boards{8, ""}, OneOf[finish]{"varnish", varnish{1}}}}
		}},
		{"set in an element", "[[many]]\nkind='box'", []string{"many.0.kind=disc", "many.0.radius=2", "many.0.scale=3"}, func(d *drawing) {
			d.Many = []rule{{OneOf: OneOf[shape]{"disc", disc{2}}, Scale: 3}}
		}},
		{"set behind a pointer", "", []string{"may.kind=disc", "may.radius=2"}, func(d *drawing) { d.May = &rule{OneOf: OneOf[shape]{"disc", disc{2}}} }},
		{"set a kind over a whole table", "", []string{"main={kind='disc'}", "main.kind=crate", "main.finish=raw"}, func(d *drawing) {
			d.Main = OneOf[shape]{"crate", crate{boards{8, ""}, OneOf[finish]{"raw", raw{}}}}
		}},
		{"set a kind behind the file's pointer", "[may]\nkind = 'box'\nscale = 2", []string{"may.kind=disc"}, func(d *drawing) {
			d.May = &rule{OneOf: OneOf[shape]{"disc", disc{1}}, Scale: 2}
		}},
		{"set a kind of an inline element", "many = [{kind='box'}, {radius=9}]", []string{"many.1.kind=disc"}, func(d *drawing) {
			d.Many = []rule{{OneOf: OneOf[shape]{"box", box{Width: 2, Corner: inset{1}}}}, {OneOf: OneOf[shape]{"disc", disc{9}}}}
		}},
		{"set a whole table", "", []string{"main={kind='disc', radius=2}"}, func(d *drawing) { d.Main = OneOf[shape]{"disc", disc{2}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"as given", "as encoded"} {
				got, want := newDrawing(), newDrawing()
				c.want(&want)
				if err := Decode("f.toml", []byte(c.text), &got, Options{Lists: shapes(), Set: c.set}); err != nil {
					t.Fatalf("%s: %v\n%s", name, err, c.text)
				}
				if d := cmp.Diff(want, got, exported); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
				text, err := Encode(got)
				if err != nil {
					t.Fatal(err)
				}
				c.text, c.set = string(text), nil
			}
		})
	}
}

// TestOneOfErrors: mistakes are where they were made, and say which kind's table it is.
func TestOneOfErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		set        []string
		want       string
	}{
		{"unknown kind", "[main]\nkind = 'bx'\nradius = 3\nwidth = 0", nil, `f.toml:2: [main] kind = "bx" is unknown; want one of disc, box, crate`},
		{"no text", "[main]\nkind = 3", nil, `f.toml:2: [main] kind = 3 is an integer; want a string`},
		{"a key of another kind", "kind = 'box'\nradius = 3", nil, `f.toml:2: unknown key "radius" of kind = "box"; it is a key of disc`},
		{"a key of another kind in a table", "[main]\n\nradius = 3", nil, `f.toml:3: unknown key "radius" in [main] of kind = "box"; it is a key of disc`},
		{"a key of no kind", "[[many]]\nkind = 'box'\nwith = 3", nil, `f.toml:3: unknown key "with" in [[many]] of kind = "box"; did you mean "width"?`},
		{"a key like none", "[main]\nxyzzy = 3", nil, `f.toml:2: unknown key "xyzzy" in [main] of kind = "box"; known keys: kind, width, notes, corner`},
		{"a key of another table", "depth = 3", nil, `f.toml:1: unknown key "depth" of kind = "disc"; did you mean [main.corner] depth?`},
		{"a key below a kind", "[main.corner]\ndepht = 3", nil, `f.toml:2: unknown key "depht" in [main.corner]; did you mean "depth"?`},
		{"a key of another kind's kind", "[main]\nkind = 'crate'\nfinish = 'raw'\ncoats = 2", nil,
			`f.toml:4: unknown key "coats" in [main] of kind = "crate" of finish = "raw"; it is a key of varnish`},
		{"no kind", "[[many]]\nscale = 1", nil, `f.toml:1: [[many]] kind = "" is unknown; want one of disc, box, crate`},
		{"no kind, but its key", "[[many]]\nscale = 1\nradius = 3", nil, `f.toml:1: [[many]] kind is missing; want one of disc, box, crate`},
		{"no kind in a kind", "[main]\nkind = 'crate'", nil, `f.toml:1: [main] finish = "" is unknown; want one of raw, varnish`},
		{"a kind's value", "[main]\nwidth = 0", nil, `f.toml:2: [main] width = 0 is too small; want at least 1`},
		{"a kind's type", "[main]\nwidth = 'x'", nil, `f.toml:2: [main] width = "x" is a string; want an integer`},
		{"a kind's choices", "[main]\nkind = 'crate'\nfinish='raw'\nwood = 'ash'", nil, `f.toml:4: [main] wood = "ash" is unknown; want one of oak, pine`},
		{"the file's key of an override's kind", "[main]\nkind = 'disc'\nradius = 4", []string{"main.kind=box"},
			`f.toml:3: unknown key "radius" in [main] of kind = "box"; it is a key of disc`},
		{"unknown kind of an override", "[main]\nradius = 4", []string{"main.kind=bx"}, `--set main.kind=bx: [main] kind = "bx" is unknown; want one of disc, box, crate`},
		{"a key of another kind by an override", "", []string{"main.radius=4"}, `--set main.radius=4: unknown key "radius" in [main] of kind = "box"; it is a key of disc`},
		{"a value by an override", "", []string{"main.width=0"}, `--set main.width=0: [main] width = 0 is too small; want at least 1`},
		{"a kind of no table", "", []string{"two.kind=disc"}, `--set two.kind=disc: unknown key "two" of kind = "disc"; known keys: match, kind, radius, scale, title, main, many, may`},
		{"a kind of no element", "", []string{"many.0.kind=disc"}, `--set many.0.kind=disc: [[many]] has 0 elements, counted from 0; there is no "0"`},
		{"below a kind", "", []string{"main.kind.x=1"}, `--set main.kind.x=1: [main] kind is a string, not a table; it has no key "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newDrawing()
			err := Decode("f.toml", []byte(c.text), &got, Options{Lists: shapes(), Set: c.set})
			if err == nil {
				t.Fatalf("no error; want\n%s", c.want)
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A struct made in Go is validated with its kinds.
func TestValidateKinds(t *testing.T) {
	d := newDrawing()
	d.Main.Of = box{}
	d.Many = make([]rule, 1)
	err := Validate("drawing", &d)
	const want = "drawing: [main] width = 0 is too small; want at least 1\ndrawing: [[many]] kind = \"\" is unknown"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// A kind's own keys are written, and no others.
func TestEncodeKinds(t *testing.T) {
	d := newDrawing()
	d.Many = []rule{{Match: "a", OneOf: OneOf[shape]{"crate", crate{boards{2, "oak"}, OneOf[finish]{"varnish", varnish{1}}}}}}
	d.Main = OneOf[shape]{}
	got, err := Encode(&d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `match = ""
kind = "disc"
radius = 7.0
scale = 0.0
title = "t"

[main]

[[many]]
match = "a"
kind = "crate"
count = 2
wood = "oak"
finish = "varnish"
coats = 1
scale = 0.0
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Decoding copies the kinds of the defaults, which others may share.
func TestDecodeLeavesSharedKindsAlone(t *testing.T) {
	notes := []int{1, 2}
	d := newDrawing()
	d.Main.Of = box{Width: 1, Notes: notes}
	shared := d
	if err := Decode("f.toml", nil, &d, Options{Lists: shapes(), Set: []string{"main.notes.0=9", "main.width=3"}}); err != nil {
		t.Fatal(err)
	}
	if got := shared.Main.Of.(box); got.Width != 1 || notes[0] != 1 {
		t.Errorf("the defaults became %+v", got)
	}
}

// TestWith: a list is extended from outside, at every depth, and the shorter list stays as it was.
func TestWith(t *testing.T) {
	short := shapes()
	long := With(short, Choice[shape]{"star", func() shape { return star{5} }}, Choice[shape]{"disc", func() shape { return disc{100} }})
	text := "[main]\nkind = 'star'\n[[many]]\nkind = 'star'\npoints = 6\n[[many]]\nkind = 'disc'\n"
	got := newDrawing()
	if err := Decode("f.toml", []byte(text), &got, Options{Lists: long}); err != nil {
		t.Fatal(err)
	}
	if got.Main.Of != (star{5}) || got.Many[0].Of.sides() != 12 || got.Many[1].Of != (disc{100}) {
		t.Errorf("decoded %+v", got)
	}
	if err := Decode("f.toml", []byte(text), &got, Options{Lists: short}); err == nil || !strings.Contains(err.Error(), "want one of disc, box, crate") {
		t.Errorf("the shorter list: %v", err)
	}
	if n := len(Of[shape](long)); n != 4 || len(Of[shape](short)) != 3 || len(Of[finish](long)) != 2 || len(Of[int](long)) != 0 {
		t.Errorf("lists of %d and %d kinds", n, len(Of[shape](short)))
	}
}

// TestOld: a stored config's keys of other kinds are dropped at their old defaults, and are mistakes at other values, in other
// places and in what is not stored.
func TestOld(t *testing.T) {
	old := map[string]any{"many.kind": "box", "many.radius": 0, "many.width": 2, "many.notes": []int{}, "many.corner.depth": 0, "main.radius": 0.5, "main.slant": 1.0}
	for _, c := range []struct{ name, text, set, want string }{
		{"their defaults", "[[many]]\nkind = 'disc'\nwidth = 2\nnotes = []\ncorner = {depth = 0}\n[main]\nradius = 0.5", "", ""},
		{"a whole number for one", "[main]\nslant = 1", "", ""},
		{"of a kind that has the key", "[[many]]\nkind = 'box'\nwidth = 3", "", ""},
		{"no kind, which had a name of its own since", "[[many]]\nkind = ''\nwidth = 3", "", ""},
		{"a kind that no version had", "[[many]]\nkind = 'ring'", "", `f.toml:2: [[many]] kind = "ring" is unknown; want one of disc, box, crate`},
		{"another value", "[[many]]\nkind = 'disc'\nwidth = 3", "", `f.toml:3: unknown key "width" in [[many]] of kind = "disc"; it is a key of box`},
		{"another type", "[[many]]\nkind = 'disc'\nwidth = 2.0", "", `f.toml:3: unknown key "width" in [[many]] of kind = "disc"; it is a key of box`},
		{"a table with another value", "[[many]]\nkind = 'disc'\n[many.corner]\ndepth = 1", "", `f.toml:3: unknown key "corner" in [[many]] of kind = "disc"; it is a key of box`},
		{"an empty table of another name", "[[many]]\nkind = 'disc'\n[many.side]", "", `f.toml:3: unknown key "side" in [[many]] of kind = "disc"; known keys: match, kind, radius, scale`},
		{"another place", "width = 2", "", `f.toml:1: unknown key "width" of kind = "disc"; it is a key of box`},
		{"an override", "[[many]]\nkind = 'disc'", "many.0.width=2", `--set many.0.width=2: unknown key "width" in [[many]] of kind = "disc"; it is a key of box`},
		{"an override beside that of the kind", "[[many]]\nkind = 'box'\nwidth = 3\nnotes = [1]", "many.0.width=2 many.0.kind=disc many.0.notes=[]", ""},
		{"one to another value", "[[many]]\nkind = 'box'", "many.0.kind=disc many.0.width=3", `--set many.0.width=3: unknown key "width" in [[many]] of kind = "disc"; it is a key of box`},
		{"one key is not cleared", "[[many]]\nkind = 'box'\nwidth = 3\nnotes = [1]", "many.0.kind=disc many.0.width=2",
			`f.toml:4: unknown key "notes" in [[many]] of kind = "disc"; it is a key of box`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDrawing()
			o := Options{Lists: shapes(), Old: old}
			if c.set != "" {
				o.Set = strings.Fields(c.set)
			}
			err := Decode("f.toml", []byte(c.text), &d, o)
			if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// What Encode wrote holds keys of its own kinds; an override of the kind leaves them behind, and is checked itself.
func TestEncodedDocument(t *testing.T) {
	text := "[[many]]\nkind = 'box'\nwidth = 3"
	for _, c := range []struct {
		set     []string
		encoded bool
		want    string
	}{
		{[]string{"many.0.kind=disc"}, true, ""},
		{[]string{"many.0.kind=disc"}, false, `unknown key "width" in [[many]] of kind = "disc"`},
		{[]string{"many.0.kind=disc", "many.0.width=4"}, true, `--set many.0.width=4: unknown key "width"`},
	} {
		d := newDrawing()
		err := Decode("f.toml", []byte(text), &d, Options{Lists: shapes(), Set: c.set, Encoded: c.encoded})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q, encoded %t: %v; want %q", c.set, c.encoded, err, c.want)
		}
	}
}

// A kind that no config can hold is a programmer's mistake.
func TestKindsMustBeStructs(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Choice[shape]
		want string
	}{
		{"a pointer", Choice[shape]{"ptr", func() shape { return &disc{} }}, `kind "ptr" is a *configs.disc; want a struct`},
		{"nothing", Choice[shape]{"nil", func() shape { return nil }}, `kind "nil" is a <nil>; want a struct`},
		{"no tag", Choice[shape]{"bare", func() shape { return bare{} }}, "no toml tag"},
		{"a key of the table around", Choice[shape]{"clash", func() shape { return clash{} }}, `two fields tagged "scale"`},
	} {
		d := newDrawing()
		err := Decode("f.toml", nil, &d, Options{Lists: With(Lists{}, c.kind)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

type bare struct{ N int }

type clash struct {
	Scale int `toml:"scale"`
}

func (bare) sides() int  { return 0 }
func (clash) sides() int { return 0 }

// TestKeys: one walk says of every key, of every kind, what its tags say.
func TestKeys(t *testing.T) {
	d := newDrawing()
	got, err := Keys(&d, shapes())
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"disc", "box", "crate"}
	top := func(name string) []Kind { return []Kind{{"", "kind", name}} }
	main := func(name string) []Kind { return []Kind{{"[main]", "kind", name}} }
	want := []Key{
		{"", nil, "match", "a string", `""`, "", "", nil, nil},
		{"", nil, "kind", "a string", `"disc"`, "", "", kinds, nil},
		{"", top("disc"), "radius", "a number", "7.0", "from the middle to the edge", "cm", nil, nil},
		{"", top("box"), "width", "an integer", "2", "", "", nil, nil},
		{"", top("box"), "notes", "an array of integers", "[]", "", "", nil, nil},
		{"", top("crate"), "count", "an integer", "8", "", "", nil, nil},
		{"", top("crate"), "wood", "a string", `""`, "", "", []string{"oak", "pine"}, nil},
		{"", top("crate"), "finish", "a string", "", "", "", []string{"raw", "varnish"}, nil},
		{"", append(top("crate"), Kind{"", "finish", "varnish"}), "coats", "an integer", "3", "", "", nil, nil},
		{"", nil, "scale", "a number", "0.0", "", "", nil, nil},
		{"", nil, "title", "a string", `"t"`, "", "", nil, nil},
		{"[corner]", top("box"), "depth", "an integer", "1", "", "", nil, nil},
		{"[main]", nil, "kind", "a string", `"box"`, "the first", "", kinds, nil},
		{"[main]", main("disc"), "radius", "a number", "1.0", "from the middle to the edge", "cm", nil, nil},
		{"[main]", main("box"), "width", "an integer", "5", "", "", nil, nil},
	}
	if d := cmp.Diff(want, got[:len(want)]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	var tables []string
	for _, k := range got {
		if n := len(tables); n == 0 || tables[n-1] != k.Table {
			tables = append(tables, k.Table)
		}
	}
	if d := cmp.Diff([]string{"", "[corner]", "[main]", "[main.corner]", "[[many]]", "[many.corner]", "[may]", "[may.corner]"}, tables); d != "" {
		t.Errorf("tables (-want +got):\n%s", d)
	}
}

// TestEdit: a kind is changed in place, its name stays; another one than is there is a programmer's mistake. A kind is chosen by
// its name, and keeps what it has if it is that already.
func TestEdit(t *testing.T) {
	one := OneOf[shape]{"box", box{Width: 5}}
	Edit(&one, func(b *box) { b.Width++ })
	if want := (OneOf[shape]{"box", box{Width: 6}}); !cmp.Equal(one, want) {
		t.Errorf("got %+v, want %+v", one, want)
	}
	if !one.Choose("box", shapes()) || one.Of.(box).Width != 6 {
		t.Errorf("chosen again: %+v", one)
	}
	if one.Choose("ring", shapes()) || one.Name != "box" {
		t.Errorf("chosen what there is not: %+v", one)
	}
	if !one.Choose("disc", shapes()) || !cmp.Equal(one, OneOf[shape]{"disc", disc{1}}) {
		t.Errorf("chosen: %+v", one)
	}
	defer func() {
		if recover() == nil {
			t.Error("a disc was edited as a box")
		}
	}()
	Edit(&one, func(*box) {})
}
