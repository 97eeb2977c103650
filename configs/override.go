package configs

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// overrideName is how messages name an override, in place of FILE:LINE.
func overrideName(set string) string { return "--set " + set }

// override applies one "a.b=v". Elements of an array are reached by their index: "model.linear.0.rank=8".
func (d *decoder) override(set string) {
	d.current = set
	defer func() { d.current = "" }()
	key, text, ok := splitOverride(set)
	if !ok {
		d.add(nil, "want KEY=VALUE, such as train.steps=100")
		return
	}
	d.useKind(set)
	if v, ok := d.reach(key); ok {
		d.assign(v, overrideValue(text, pointee(v.Type())), key)
	}
}

// splitOverride takes "a.b=v" apart; ok is false if it is nothing of the sort.
func splitOverride(set string) (key toml.Key, text string, ok bool) {
	name, text, ok := strings.Cut(set, "=")
	for _, part := range strings.Split(name, ".") {
		key = append(key, strings.TrimSpace(part))
		ok = ok && key[len(key)-1] != ""
	}
	return key, strings.TrimSpace(text), ok
}

// reach finds the value that key names, and reports where there is none. What it descends through is copied first: the
// caller's defaults may share it.
func (d *decoder) reach(key toml.Key) (reflect.Value, bool) {
	v := d.root
	for i, part := range key {
		at := key[:i]
		if v.Kind() == reflect.Pointer {
			v = own(v)
		}
		switch v.Kind() {
		case reflect.Struct:
			f, ok := fieldNamed(v.Type(), part)
			if !ok {
				d.unknownKey(v.Type(), at, part, false)
				return v, false
			}
			v = v.FieldByIndex(f.index)
		case reflect.Slice, reflect.Array:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= v.Len() {
				d.reject(at, "has %d elements, counted from 0; there is no %q", v.Len(), part)
				return v, false
			}
			if v.Kind() == reflect.Slice {
				v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
			}
			v = v.Index(n)
		default:
			d.reject(at, "is %s, not a table; it has no key %q", wantWord(v.Type()), part)
			return v, false
		}
	}
	return v, true
}

// overrideValue reads the value of an override: TOML, or the text as it stands for a string field (a shell has eaten
// the quotes) and for what is not TOML, which then fails as the wrong type.
func overrideValue(text string, want reflect.Type) any {
	var doc map[string]any
	_, err := toml.Decode("v = "+text, &doc)
	value, ok := doc["v"]
	if err != nil || len(doc) != 1 || !ok {
		return text
	}
	if _, isString := value.(string); want.Kind() == reflect.String && !isString {
		return text
	}
	return value
}

// markOverride notes that the value at key now comes from the override being applied, and with it all below.
func (d *decoder) markOverride(key toml.Key) {
	if d.current == "" {
		return
	}
	id := key.String()
	for below := range d.lines {
		if strings.HasPrefix(below, id+".") {
			delete(d.lines, below)
		}
	}
	for below := range d.overrides {
		if strings.HasPrefix(below, id+".") {
			delete(d.overrides, below)
		}
	}
	d.overrides[id] = d.current
	delete(d.rejected, id)
}
