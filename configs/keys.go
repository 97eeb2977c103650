package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Key is what a config's structs say of one of its keys. The struct's tags are the one place where it is said:
//
//	Rank int `toml:"rank" doc:"width between the two factors" unit:"neurons"`
//	Rate float64 `toml:"rate" also:"lr|step_size" doc:"…"` // also: what other tools call it
//	Axis string `toml:"axis" doc:"side that is cut into blocks" choices:"in|out"`
type Key struct {
	Table   string   // as messages write it: "[model]", "[[model.linear]]", "" at the top
	Kinds   []Kind   // whose key it is, from the outermost; none: it is there whatever the kinds
	Name    string   // of the key
	Type    string   // in words: "an integer"
	Default string   // as TOML; "" where there is none: of a pointer, of a kind that must be given
	Doc     string   // its meaning
	Unit    string   // "" where it has none
	Choices []string // the texts it may be; of a key that chooses a kind the kinds' names; nil: any
	Also    []string // what other tools call it
}

// Kind is one that a table has chosen: [data] source = "tsv".
type Kind struct{ Table, Key, Name string }

// Keys lists the keys of src, a struct or a pointer to one with the defaults, and of every kind that its OneOfs may become, in
// the order in which [Encode] would write them.
func Keys(src any, l Lists) ([]Key, error) {
	v := reflect.Indirect(reflect.ValueOf(src))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configs: keys of %T; want a struct", src)
	}
	if err := checkType(v.Type(), v.Type().String(), l, nil); err != nil {
		return nil, err
	}
	w := &keyWalk{lists: l}
	w.table(addressable(v), "", nil, false, nil)
	return w.keys, nil
}

// keyWalk collects keys.
type keyWalk struct {
	lists Lists
	keys  []Key
	above []reflect.Type // concepts of the kinds around
}

// table lists the keys of the struct v, whose field has a tag, and then those of its tables. names is the table's name without
// indices, element that it is one of an array, kinds what it belongs to.
func (w *keyWalk) table(v reflect.Value, tag reflect.StructTag, names toml.Key, element bool, kinds []Kind) {
	var tables []func()
	w.fields(v, tag, names, element, kinds, &tables)
	for _, list := range tables {
		list()
	}
}

// fields lists the keys of v, which may be only a part of a table, and leaves the tables in it for later.
func (w *keyWalk) fields(v reflect.Value, tag reflect.StructTag, names toml.Key, element bool, kinds []Kind, tables *[]func()) {
	if one, ok := asOneOf(v); ok {
		w.kinds(one, kindKey, tag, names, element, kinds, tables)
		return
	}
	for i := range v.NumField() {
		sf, at := v.Type().Field(i), v.Field(i)
		name := tagName(sf)
		if one, ok := asOneOf(at); ok && name == "" {
			w.kinds(one, kindKeyOf(sf), sf.Tag, names, element, kinds, tables)
			continue
		}
		switch {
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			w.fields(at, "", names, element, kinds, tables)
		case sf.IsExported() && name != "" && name != "-":
			f := field{name: name, v: at, tag: sf.Tag}
			table, array := isTable(at.Type())
			if !table && !array {
				w.add(f, names, element, kinds)
				continue
			}
			inner := sample(at)
			if array {
				inner = reflect.New(elementType(at.Type())).Elem()
				setDefaults(inner.Addr())
			}
			above := w.above
			*tables = append(*tables, func() {
				defer func(now []reflect.Type) { w.above = now }(w.above)
				w.above = above
				w.table(sample(inner), sf.Tag, child(names, name), array, kinds)
			})
		}
	}
}

// elementType is the type of the tables in an array of them, however deep.
func elementType(t reflect.Type) reflect.Type {
	for t = pointee(t); t.Kind() == reflect.Slice || t.Kind() == reflect.Array; {
		t = t.Elem()
	}
	return t
}

// kinds lists the key that chooses a kind, and the keys of each.
func (w *keyWalk) kinds(one oneOf, key string, tag reflect.StructTag, names toml.Key, element bool, kinds []Kind, tables *[]func()) {
	chosen := reflect.New(reflect.TypeFor[string]()).Elem()
	chosen.SetString(one.chosen())
	w.add(field{name: key, v: chosen, tag: tag, one: one}, names, element, kinds)
	if slices.Contains(w.above, one.concept()) {
		return // its kinds are listed above
	}
	defer func(above []reflect.Type) { w.above = above }(w.above)
	w.above = append(w.above[:len(w.above):len(w.above)], one.concept())
	for _, c := range one.choices(w.lists) {
		value := c.make()
		if c.name == one.chosen() && one.value() != nil {
			value = one.value()
		}
		inner := append(kinds[:len(kinds):len(kinds)], Kind{header(names, element), key, c.name})
		w.fields(addressable(reflect.ValueOf(value)), "", names, element, inner, tables)
	}
}

func (w *keyWalk) add(f field, names toml.Key, element bool, kinds []Kind) {
	k := Key{
		Table: header(names, element), Kinds: kinds, Name: f.name, Type: wantWord(f.v.Type()),
		Doc: f.tag.Get("doc"), Unit: f.tag.Get("unit"), Choices: offered(choicesOf(f)),
	}
	if also := f.tag.Get("also"); also != "" {
		k.Also = strings.Split(also, "|")
	}
	switch {
	case f.one != nil:
		k.Choices = named(f.one.choices(w.lists))
		if f.one.value() != nil {
			k.Default = formatFull(f.v)
		}
	case f.v.Kind() != reflect.Pointer || !f.v.IsNil():
		k.Default = formatFull(f.v)
	}
	w.keys = append(w.keys, k)
}
