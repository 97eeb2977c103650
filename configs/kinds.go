package configs

import (
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// chooseKinds makes the kinds of the table v those that the overrides or the document name, so that the table's other keys,
// laid over it next, are those of these kinds. A kind may bring a OneOf of its own.
func (d *decoder) chooseKinds(v reflect.Value, table map[string]any, key toml.Key) {
	for done := map[string]bool{}; ; {
		fields, closeKinds := open(v)
		next := slices.IndexFunc(fields, func(f field) bool { return f.one != nil && !done[f.name] })
		if next < 0 {
			return
		}
		f := fields[next]
		done[f.name] = true
		at, raw := child(key, f.name), table[f.name]
		if kind, ok := d.old[oldName(at)]; ok && raw == "" && d.current == "" {
			raw = kind
		}
		if kind, ok := d.pendingKind(at); !ok && raw != nil {
			d.assignKind(f.one, raw, at)
		} else if ok && !f.one.Choose(kind, d.lists) {
			d.unknownKind[key.String()] = true // and the override will say so
		}
		closeKinds()
	}
}

// assignKind makes one the kind that raw, the value at key, names.
func (d *decoder) assignKind(one oneOf, raw any, key toml.Key) {
	d.markOverride(key)
	name, ok := raw.(string)
	switch {
	case !ok:
		d.wrongType(reflect.TypeFor[string](), raw, key)
	case one.Choose(name, d.lists):
		return
	default:
		d.reject(key, "= %s is unknown; want one of %s", formatValue(reflect.ValueOf(name)), strings.Join(named(one.choices(d.lists)), ", "))
	}
	table := key[:len(key)-1].String()
	d.unknownKind[table], d.rejected[table] = true, true
}

// pendingKind is the kind that an override will give at key, while the document is read.
func (d *decoder) pendingKind(key toml.Key) (kind string, ok bool) {
	if d.current != "" {
		return "", false
	}
	for _, set := range d.set {
		if at, text, is := splitOverride(set); is && at.String() == key.String() {
			kind, ok = overrideValue(text, reflect.TypeFor[string]()).(string)
		}
	}
	return kind, ok
}

// kindOverride is the table whose kind an override sets, as the tables now are; ok is false of any other override.
func (d *decoder) kindOverride(set string) (table toml.Key, ok bool) {
	key, _, ok := splitOverride(set)
	if !ok {
		return nil, false
	}
	table, last := key[:len(key)-1], key[len(key)-1]
	v := d.root
	for _, part := range table {
		if v, ok = step(v, part); !ok {
			return nil, false
		}
	}
	if v = sample(v); v.Kind() != reflect.Struct {
		return nil, false
	}
	f, ok := fieldNamed(v, last)
	return table, ok && f.one != nil
}

// kindFirst moves the first override of a kind before set[i], if set[i] is of another key of that kind's table or below it,
// whose value the kind would undo.
func (d *decoder) kindFirst(set []string, i int) {
	key, _, _ := splitOverride(set[i])
	for j := i + 1; j < len(set); j++ {
		table, ok := d.kindOverride(set[j])
		if !ok || len(key) <= len(table) || key[:len(table)].String() != table.String() {
			continue
		}
		if at, _, _ := splitOverride(set[j]); at.String() == key.String() {
			continue
		}
		first := set[j]
		copy(set[i+1:j+1], set[i:j])
		set[i] = first
		d.kindFirst(set, i)
		return
	}
}
