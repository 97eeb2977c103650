package configs

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// Defaulter sets the defaults of a table that has no place in the caller's struct yet: an element of a slice of
// tables, or a struct behind a nil pointer. Without it such a table starts from its zero value.
type Defaulter interface {
	SetDefaults()
}

// decoder lays one document and its overrides over a struct.
type decoder struct {
	file      string
	root      reflect.Value
	lines     map[string]int    // key -> its line in the file
	overrides map[string]string // key -> the --set that gave its value
	current   string            // the --set being applied; "" while the file is
	rejected  map[string]bool   // keys already reported: their validation would only repeat it
	lists     Lists
	set       []string       // the overrides
	old       map[string]any // see Options
	encoded   bool           // see Options.Encoded

	unknownKind map[string]bool // tables of a kind that does not exist
	problems    Problems
	rank        map[string]int
}

// assign stores raw, a value of the TOML parser, in v. Keys that raw does not have keep their value. Problems are
// recorded, and the value they are about is left alone.
func (d *decoder) assign(v reflect.Value, raw any, key toml.Key) {
	switch v.Kind() {
	case reflect.Pointer:
		d.assign(own(v), raw, key)
	case reflect.Struct:
		d.assignTable(v, raw, key)
	case reflect.Slice, reflect.Array:
		d.assignArray(v, raw, key)
	default:
		d.assignScalar(v, raw, key)
	}
}

// own gives the pointer v a value of its own, which it returns: a copy of the one it has, because the caller's defaults
// may share that, else the defaults.
func own(v reflect.Value) reflect.Value {
	fresh := reflect.New(v.Type().Elem())
	if v.IsNil() {
		setDefaults(fresh)
	} else {
		fresh.Elem().Set(v.Elem())
	}
	v.Set(fresh)
	return fresh.Elem()
}

func setDefaults(ptr reflect.Value) {
	if def, ok := ptr.Interface().(Defaulter); ok {
		def.SetDefaults()
	}
}

func (d *decoder) assignTable(v reflect.Value, raw any, key toml.Key) {
	table, ok := raw.(map[string]any)
	if !ok {
		d.wrongType(v.Type(), raw, key)
		return
	}
	d.chooseKinds(v, table, key)
	fields, closeKinds := open(v)
	defer closeKinds()
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		switch {
		case at >= 0 && fields[at].one == nil:
			d.assign(fields[at].v, table[name], child(key, name))
		case at < 0 && !d.isOld(child(key, name), table[name]):
			_, isTable := table[name].(map[string]any)
			_, isArray := table[name].([]map[string]any)
			d.unknownKey(v, key, name, isTable || isArray)
		}
	}
}

func (d *decoder) assignArray(v reflect.Value, raw any, key toml.Key) {
	list := reflect.ValueOf(raw)
	if list.Kind() != reflect.Slice {
		d.wrongType(v.Type(), raw, key)
		return
	}
	n := list.Len()
	switch {
	case v.Kind() == reflect.Array && v.Len() != n:
		d.reject(key, "has %d elements; want %d", n, v.Len())
		return
	case v.Kind() == reflect.Slice && n == 0:
		if v.Len() > 0 { // nil and empty mean the same: the caller's choice stays
			v.SetZero()
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
	}
	d.markOverride(key)
	for i := range n {
		if v.Kind() == reflect.Slice {
			setDefaults(v.Index(i).Addr())
		}
		d.assign(v.Index(i), list.Index(i).Interface(), element(key, i))
	}
}

func (d *decoder) assignScalar(v reflect.Value, raw any, key toml.Key) {
	d.markOverride(key)
	switch value := raw.(type) {
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(value)
			return
		}
	case string:
		if v.Kind() == reflect.String {
			v.SetString(value)
			return
		}
	case int64:
		switch {
		case v.CanInt():
			if v.OverflowInt(value) {
				d.outOfRange(v, key, value)
				return
			}
			v.SetInt(value)
			return
		case v.CanUint():
			if value < 0 || v.OverflowUint(uint64(value)) {
				d.outOfRange(v, key, value)
				return
			}
			v.SetUint(uint64(value))
			return
		case v.CanFloat():
			v.SetFloat(float64(value))
			return
		}
	case float64:
		if v.CanFloat() {
			if !finite(value, v.Type().Bits()) {
				d.reject(key, "= %s is not a finite %s; want a number", formatValue(reflect.ValueOf(value)), v.Kind())
				return
			}
			v.SetFloat(value)
			return
		}
	}
	d.wrongType(v.Type(), raw, key)
}

// finite reports whether a float of so many bits is a finite number. Rounding decides, not OverflowFloat: the shortest
// decimal of the largest float32 is a little above it.
func finite(value float64, bits int) bool {
	if bits == 32 {
		value = float64(float32(value))
	}
	return !math.IsNaN(value) && !math.IsInf(value, 0)
}

func (d *decoder) outOfRange(v reflect.Value, key toml.Key, got int64) {
	bits := v.Type().Bits()
	if v.CanUint() {
		// A TOML integer is at most 2^63 - 1.
		d.reject(key, "= %d is out of range; want an integer from 0 to %d", got, uint64(1)<<min(bits, 63)-1)
		return
	}
	most := int64(math.MaxInt64) >> (64 - bits)
	d.reject(key, "= %d is out of range; want an integer from %d to %d", got, -most-1, most)
}

func (d *decoder) wrongType(want reflect.Type, raw any, key toml.Key) {
	got := reflect.ValueOf(raw)
	if _, ok := raw.(map[string]any); ok {
		d.reject(key, "is a table; want %s", wantWord(want))
		return
	}
	if _, ok := raw.([]map[string]any); ok {
		d.reject(key, "is an array of tables; want %s", wantWord(want))
		return
	}
	d.reject(key, "= %s is %s; want %s", formatValue(got), gotWord(raw), wantWord(want))
}

// unknownKey reports a key that the table v at key does not have, with the nearest key that exists: one that other tools call so, in
// another kind of this table, in this table, else under the same name in another one, else all of this table's.
func (d *decoder) unknownKey(v reflect.Value, key toml.Key, name string, isTable bool) {
	full := child(key, name)
	what := fmt.Sprintf("unknown key %q", name)
	if header, _ := location(d.root, key); header != "" {
		what += " in " + header
	}
	if ours, ok := d.findAlso(v, key, name); ok {
		d.rejected[ours.String()] = true // what its default fails on is this same mistake
		table, label := location(d.root, ours)
		d.add(full, fmt.Sprintf("%s; here it is called %s", what, strings.TrimSpace(table+" "+label)))
		return
	}
	var known []string
	for _, f := range fieldsOf(v) {
		known = append(known, f.name)
		if f.one == nil {
			continue
		}
		kinds := d.kindsWith(f.one, name)
		switch at := child(key, f.name); {
		case len(kinds) > 0 && d.unknownKind[key.String()]:
			return // whatever the kind was to be
		case f.one.value() != nil:
			what += fmt.Sprintf(" of %s = %q", f.name, f.one.chosen())
		case len(kinds) > 0 && !d.rejected[at.String()]:
			d.reject(at, "is missing; want one of %s", strings.Join(named(f.one.choices(d.lists)), ", "))
			return
		case len(kinds) > 0:
			return
		}
		if len(kinds) > 0 {
			d.add(full, fmt.Sprintf("%s; it is a key of %s", what, strings.Join(kinds, ", ")))
			return
		}
	}
	if best, ok := nearest(name, known); ok {
		d.rejected[child(key, best).String()] = true // what its default fails on is this same mistake
		d.add(full, fmt.Sprintf("%s; did you mean %q?", what, best))
		return
	}
	if elsewhere, ok := findKey(d.root, name, nil); ok {
		table, label := location(d.root, elsewhere)
		d.add(full, fmt.Sprintf("%s; did you mean %s?", what, strings.TrimSpace(table+" "+label)))
		return
	}
	if isTable && len(key) == 0 {
		what = fmt.Sprintf("unknown table [%s]", toml.Key{name})
	}
	d.add(full, fmt.Sprintf("%s; known keys: %s", what, strings.Join(known, ", ")))
}

// kindsWith lists the kinds that one may become which have a key of that name.
func (d *decoder) kindsWith(one oneOf, name string) (kinds []string) {
	for _, kind := range one.choices(d.lists) {
		v := reflect.New(reflect.TypeOf(kind.make())).Elem()
		if _, ok := fieldNamed(v, name); ok {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

// reject records a problem with the value at key: `[table] key ` and the message.
func (d *decoder) reject(key toml.Key, format string, args ...any) {
	d.rejected[key.String()] = true
	table, label := location(d.root, key)
	d.add(key, strings.TrimSpace(strings.TrimSpace(table+" "+label)+" "+fmt.Sprintf(format, args...)))
}

// add records a problem at the line of key, or at the override that is being applied.
func (d *decoder) add(key toml.Key, message string) {
	if d.current != "" {
		d.problems = append(d.problems, Problem{File: overrideName(d.current), Message: message})
		return
	}
	d.problems = append(d.problems, d.origin(key, message))
}

// origin places a message at the key's own origin: the override that set it, its line, or the line of the nearest
// table around it (line 1 where the file has none).
func (d *decoder) origin(key toml.Key, message string) Problem {
	for n := len(key); n > 0; n-- {
		id := key[:n].String()
		if set, ok := d.overrides[id]; ok {
			return Problem{File: overrideName(set), Message: message}
		}
		if line, ok := d.lines[id]; ok {
			return Problem{File: d.file, Line: line, Message: message}
		}
	}
	line := 1
	if d.lines == nil {
		line = 0 // no document: the struct was made in Go
	}
	return Problem{File: d.file, Line: line, Message: message}
}
