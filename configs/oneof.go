package configs

import (
	"reflect"
	"slices"
)

// Choice is one kind of a concept K, an interface: its name in a config and a struct with its defaults.
type Choice[K any] struct {
	Name string
	New  func() K
}

// Lists are the kinds that exist of each concept, by the concept's type. It is a value: [With] returns a longer copy, so
// that whoever adds a kind changes nothing for others.
type Lists struct{ of map[reflect.Type]any }

// With returns the lists with more kinds of K. A kind of a name that the list has replaces that one.
func With[K any](l Lists, more ...Choice[K]) Lists {
	longer := Lists{make(map[reflect.Type]any, len(l.of)+1)}
	for t, list := range l.of {
		longer.of[t] = list
	}
	list := slices.Clone(Of[K](l))
	for _, c := range more {
		if i := slices.IndexFunc(list, func(have Choice[K]) bool { return have.Name == c.Name }); i >= 0 {
			list[i] = c
			continue
		}
		list = append(list, c)
	}
	longer.of[reflect.TypeFor[K]()] = list
	return longer
}

// Of is the list of K, in the order in which messages name its kinds.
func Of[K any](l Lists) []Choice[K] {
	list, _ := l.of[reflect.TypeFor[K]()].([]Choice[K])
	return list
}

// OneOf is the kind of K that a config chose. As a field with a TOML name it is a table, whose key "kind" says which kind and
// whose other keys are that kind's. Without a TOML name, embedded or not, it shares the table of the struct around it, and a
// tag kind:"source" gives the key another name.
//
// The kinds of K are structs with the tags of any config, not pointers. One with a method Validate is validated as part of its
// table. A table that names no kind keeps the default one; where there is none either, that is an error, unless the field
// has the tag optional:"true".
type OneOf[K any] struct {
	Name string
	Of   K
}

// Edit changes the kind that one has chosen, which must be an S.
func Edit[S, K any](one *OneOf[K], change func(kind *S)) {
	kind := any(one.Of).(S)
	change(&kind)
	one.Of = any(kind).(K)
}

// oneOf is a *OneOf whatever its concept.
type oneOf interface {
	Choose(name string, l Lists) bool
	chosen() string
	value() any // nil: none
	set(value any)
	choices(l Lists) []namedKind
	concept() reflect.Type
	self() any // itself: a struct that embeds a OneOf has these methods too
}

// namedKind is a Choice whatever its concept.
type namedKind struct {
	name string
	make func() any
}

// Choose makes it the kind of that name, with its defaults unless it is already, and reports whether there is one.
func (o *OneOf[K]) Choose(name string, l Lists) bool {
	if o.Name == name && any(o.Of) != nil {
		return true
	}
	for _, c := range Of[K](l) {
		if c.Name == name {
			o.Name, o.Of = name, c.New()
			return true
		}
	}
	return false
}

func (o *OneOf[K]) chosen() string        { return o.Name }
func (o *OneOf[K]) value() any            { return o.Of }
func (o *OneOf[K]) set(value any)         { o.Of = value.(K) }
func (o *OneOf[K]) concept() reflect.Type { return reflect.TypeFor[K]() }
func (o *OneOf[K]) self() any             { return o }

func (o *OneOf[K]) choices(l Lists) []namedKind {
	var kinds []namedKind
	for _, c := range Of[K](l) {
		kinds = append(kinds, namedKind{c.Name, func() any { return c.New() }})
	}
	return kinds
}

// asOneOf returns the OneOf that v, which is addressable, is.
func asOneOf(v reflect.Value) (oneOf, bool) {
	if v.Kind() != reflect.Struct || !v.CanAddr() || !v.Addr().CanInterface() {
		return nil, false
	}
	p := v.Addr().Interface()
	one, ok := p.(oneOf)
	return one, ok && one.self() == p
}

// isOneOf reports whether t is a OneOf, and of which concept.
func isOneOf(t reflect.Type) (oneOf, bool) { return asOneOf(reflect.New(t).Elem()) }

// kindKey is the key that chooses a kind, unless a tag gives another.
const kindKey = "kind"

// kindKeyOf is the key that chooses the kind of a OneOf that shares its table.
func kindKeyOf(sf reflect.StructField) string {
	if key := sf.Tag.Get("kind"); key != "" {
		return key
	}
	return kindKey
}

// named returns the kinds' names in a list.
func named(kinds []namedKind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}
