package configs

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// kindKey is the key that the defaults of a [Kinded] table depend on.
const kindKey = "kind"

var kinded = reflect.TypeFor[Kinded]()

// kindOverride is the table whose kind an override sets, and that kind; ok is false of any other override.
func (d *decoder) kindOverride(set string) (table toml.Key, kind string, ok bool) {
	key, text, ok := splitOverride(set)
	if !ok || len(key) < 2 || key[len(key)-1] != kindKey {
		return nil, "", false
	}
	table = key[:len(key)-1]
	t := d.root.Type()
	for _, part := range table {
		switch t.Kind() {
		case reflect.Struct:
			f, ok := fieldNamed(t, part)
			if !ok {
				return nil, "", false
			}
			t = f.typ
		case reflect.Slice, reflect.Array:
			t = t.Elem()
		default:
			return nil, "", false
		}
		t = pointee(t)
	}
	kind, ok = overrideValue(text, reflect.TypeFor[string]()).(string)
	return table, kind, ok && reflect.PointerTo(t).Implements(kinded)
}

// layKinds puts the kinds of overrides into the tables that raw has, so that the defaults are those of the kind that a
// table ends with and the other keys of the file lie over them.
func (d *decoder) layKinds(raw map[string]any, set []string) {
	for _, s := range set {
		key, kind, ok := d.kindOverride(s)
		if !ok {
			continue
		}
		if table, ok := tableAt(raw, key); ok {
			table[kindKey] = kind
		}
	}
}

// tableAt finds the table at key in what the TOML parser returns.
func tableAt(raw map[string]any, key toml.Key) (map[string]any, bool) {
	var at any = raw
	for _, part := range key {
		if table, ok := at.(map[string]any); ok {
			at = table[part]
			continue
		}
		list, n := reflect.ValueOf(at), -1
		if i, err := strconv.Atoi(part); err == nil {
			n = i
		}
		if list.Kind() != reflect.Slice || n < 0 || n >= list.Len() {
			return nil, false
		}
		at = list.Index(n).Interface()
	}
	table, ok := at.(map[string]any)
	return table, ok
}

// kindsFirst moves overrides of a table's kind before those of the table's other keys, whose values they would undo.
func (d *decoder) kindsFirst(set []string) []string {
	set = slices.Clone(set)
	for i, s := range set {
		table, _, ok := d.kindOverride(s)
		if !ok {
			continue
		}
		first := slices.IndexFunc(set[:i], func(other string) bool {
			key, _, _ := splitOverride(other)
			below, ok := strings.CutPrefix(key.String(), table.String()+".")
			return ok && below != kindKey
		})
		if first >= 0 {
			copy(set[first+1:i+1], set[first:i])
			set[first] = s
		}
	}
	return set
}

// useKind sets the defaults of the kind that an override is about to set, unless the table has it.
func (d *decoder) useKind(set string) {
	key, kind, ok := d.kindOverride(set)
	if !ok {
		return
	}
	v, ok := d.reach(key)
	if !ok {
		return
	}
	if v.Kind() == reflect.Pointer {
		v = own(v)
	}
	if f, ok := fieldNamed(v.Type(), kindKey); ok && v.FieldByIndex(f.index).String() != kind {
		v.Addr().Interface().(Kinded).UseKind(kind)
	}
}
