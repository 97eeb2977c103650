package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Validator is a config struct that checks itself once it is decoded. Validate reports through r and returns nothing;
// it runs on every nested struct, innermost first, so that the struct around can check values against each other.
type Validator interface {
	Validate(r *Report)
}

// Report collects what validation finds wrong with one struct.
type Report struct {
	d    *decoder
	base toml.Key // the struct's own place in the document
}

// Errorf reports a problem with the value at key, which is relative to the struct being validated and may descend
// with dots ("attention.n_head", "linear.0.rank"); "" is the struct itself. The message goes on where
//
//	FILE:LINE: [table] key = value
//
// ends, which is put in front: r.Errorf("n_head", "does not divide [model] d_model = %d", 64) prints
//
//	configs/tiny.toml:9: [attention] n_head = 3 does not divide [model] d_model = 64
//
// The line is that of the key, else of its table, else 1; a value that came from an override says so instead. For a
// table only `[table]` is put in front, and nothing for the top level. A key already reported is not reported again.
func (r *Report) Errorf(key, format string, args ...any) {
	full := r.key(key)
	for n := 1; n <= len(full); n++ {
		if r.d.rejected[full[:n].String()] {
			return
		}
	}
	table, label := location(r.d.root, full)
	parts := []string{table, label, "", fmt.Sprintf(format, args...)}
	if v, ok := valueAt(r.d.root, full); ok && label != "" {
		parts[2] = "= " + formatValue(v)
	}
	var words []string
	for _, part := range parts {
		if part != "" {
			words = append(words, part)
		}
	}
	r.d.problems = append(r.d.problems, r.d.origin(full, strings.Join(words, " ")))
}

// key is the full key of one that is relative to the struct.
func (r *Report) key(key string) toml.Key {
	full := r.base[:len(r.base):len(r.base)]
	if key != "" {
		full = append(full, strings.Split(key, ".")...)
	}
	return full
}

// Validate runs the validators of the struct that src points to, for a config that was made in Go and not decoded; name
// stands for the file in messages, which have no line and name the kinds of lists. Its errors are those of [Decode].
func Validate(name string, src any, lists ...Lists) error {
	root, err := target(src, Lists{})
	if err != nil {
		return err
	}
	d := &decoder{file: name, root: root}
	for _, l := range lists {
		d.lists = l
	}
	d.validate(root, nil)
	if len(d.problems) > 0 {
		return sorted(d.problems, d.rank)
	}
	return nil
}

// valueAt finds the value that key names; ok is false where there is none, or a nil pointer on the way.
func valueAt(v reflect.Value, key toml.Key) (reflect.Value, bool) {
	f, ok := fieldAt(v, key)
	return f.v, ok
}

// fieldAt is valueAt with what the value's field says.
func fieldAt(v reflect.Value, key toml.Key) (f field, ok bool) {
	f.v = v
	for _, part := range key {
		v := reflect.Indirect(f.v)
		switch v.Kind() {
		case reflect.Struct:
			if f, ok = fieldNamed(v, part); !ok {
				return f, false
			}
		case reflect.Slice, reflect.Array:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= v.Len() {
				return f, false
			}
			f.v = v.Index(n)
		default:
			return f, false
		}
	}
	f.v = reflect.Indirect(f.v)
	return f, f.v.IsValid()
}

// validate runs the validators in v, innermost first.
func (d *decoder) validate(v reflect.Value, key toml.Key) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.validate(v.Elem(), key)
		}
		return
	case reflect.Slice, reflect.Array:
		if _, tables := isTable(v.Type()); tables {
			for i := range v.Len() {
				d.validate(v.Index(i), element(key, i))
			}
		}
		return
	case reflect.Struct:
	default:
		return
	}
	if one, ok := asOneOf(v); ok {
		d.validateKind(one, kindKey, "", key)
		return
	}
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if tagName(sf) != "" {
			continue
		}
		if one, ok := asOneOf(v.Field(i)); ok {
			d.validateKind(one, kindKeyOf(sf), sf.Tag, key)
		} else if sf.Anonymous {
			d.validate(v.Field(i), key) // its keys are the keys of this table
		}
	}
	for i := range v.NumField() {
		if sf := v.Type().Field(i); sf.IsExported() && tagName(sf) != "" && tagName(sf) != "-" {
			d.validate(v.Field(i), child(key, tagName(sf)))
		}
	}
	if !v.Addr().CanInterface() { // an embedded struct of an unexported type: only its keys are ours
		return
	}
	if validator, ok := v.Addr().Interface().(Validator); ok {
		validator.Validate(&Report{d: d, base: key})
	}
}

// validateKind validates the kind that one has chosen, whose keys are those of the table at key; that it has chosen none is
// an error unless the tag allows it.
func (d *decoder) validateKind(one oneOf, name string, tag reflect.StructTag, key toml.Key) {
	if kind, ok := kindOf(one); ok {
		d.validate(kind, key)
		return
	}
	if tag.Get("optional") == "true" && one.chosen() == "" {
		return
	}
	message := "is unknown"
	if known := named(one.choices(d.lists)); len(known) > 0 {
		message += "; want one of " + strings.Join(known, ", ")
	}
	(&Report{d: d, base: key}).Errorf(name, "%s", message)
}
