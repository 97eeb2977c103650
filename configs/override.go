package configs

import (
	"reflect"
	"slices"
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
	f, closeKinds, ok := d.reach(key)
	if !ok {
		return
	}
	if value := overrideValue(text, pointee(f.v.Type())); f.one != nil {
		d.assignKind(f.one, value, key)
	} else {
		d.assign(f.v, value, key)
	}
	closeKinds()
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
// caller's defaults may share it. closeKinds writes back what is changed there.
func (d *decoder) reach(key toml.Key) (f field, closeKinds func(), ok bool) {
	var closers []func()
	closeKinds = func() {
		for _, c := range slices.Backward(closers) { // the innermost first
			c()
		}
	}
	f.v = d.root
	for i, part := range key {
		at := key[:i]
		v := f.v
		if v.Kind() == reflect.Pointer {
			v = own(v)
		}
		switch {
		case f.one == nil && v.Kind() == reflect.Struct:
			fields, c := open(v)
			n := slices.IndexFunc(fields, func(f field) bool { return f.name == part })
			if n < 0 {
				if i < len(key)-1 || !d.cleared(key) {
					d.unknownKey(v, at, part, false)
				}
				return f, nil, false
			}
			f, closers = fields[n], append(closers, c)
		case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= v.Len() {
				d.reject(at, "has %d elements, counted from 0; there is no %q", v.Len(), part)
				return f, nil, false
			}
			if v.Kind() == reflect.Slice {
				v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
			}
			f = field{name: part, v: v.Index(n)}
		default:
			d.reject(at, "is %s, not a table; it has no key %q", wantWord(v.Type()), part)
			return f, nil, false
		}
	}
	return f, closeKinds, true
}

// overrideValue reads the value of an override: TOML, or the text as it stands for a string field (a shell has eaten
// the quotes) and for what is not TOML, which then fails as the wrong type.
func overrideValue(text string, want reflect.Type) any {
	if _, deep := tooDeep("", text); deep {
		return text
	}
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
