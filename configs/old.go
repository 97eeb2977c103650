package configs

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// isOld reports whether the document's value at key, which the table there does not have, is one of Options.Old: a key at its
// default of then, or a table of such keys alone; or whether the document is encoded and the key is of a kind that an
// override has replaced.
func (d *decoder) isOld(key toml.Key, raw any) bool {
	if d.encoded && d.current == "" {
		return true
	}
	if len(d.old) == 0 || d.current != "" {
		return false
	}
	if table, ok := raw.(map[string]any); ok {
		for name, value := range table {
			if !d.isOld(child(key, name), value) {
				return false
			}
		}
		return d.oldBelow(key)
	}
	return d.atOldDefault(key, raw) || d.cleared(key)
}

// atOldDefault reports whether Options.Old has the key with that value.
func (d *decoder) atOldDefault(key toml.Key, raw any) bool {
	value, ok := d.old[oldName(key)]
	if n, whole := raw.(int64); whole {
		if _, number := value.(float64); number { // which a whole number may give
			raw = float64(n)
		}
	}
	return ok && formatFull(reflect.ValueOf(value)) == formatFull(reflect.ValueOf(raw))
}

// cleared reports whether an override gives the key its value in Options.Old, beside one that gives the key's table its kind.
func (d *decoder) cleared(key toml.Key) bool {
	value, ok := d.old[oldName(key)]
	if !ok {
		return false
	}
	atDefault, changed := false, false
	for _, set := range d.set {
		at, text, _ := splitOverride(set)
		atDefault = atDefault || at.String() == key.String() && d.atOldDefault(at, overrideValue(text, reflect.TypeOf(value)))
		table, ok := d.kindOverride(set)
		changed = changed || ok && table.String() == key[:len(key)-1].String()
	}
	return atDefault && changed
}

// oldBelow reports whether Options.Old has keys of the table at key.
func (d *decoder) oldBelow(key toml.Key) bool {
	for name := range d.old {
		if strings.HasPrefix(name, oldName(key)+".") {
			return true
		}
	}
	return false
}

// oldName is a key without the indices of elements.
func oldName(key toml.Key) string {
	var names []string
	for _, part := range key {
		if _, err := strconv.Atoi(part); err != nil {
			names = append(names, part)
		}
	}
	return strings.Join(names, ".")
}
