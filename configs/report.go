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
	full := r.base[:len(r.base):len(r.base)]
	if key != "" {
		full = append(full, strings.Split(key, ".")...)
	}
	for n := 1; n <= len(full); n++ {
		if r.d.rejected[full[:n].String()] {
			return
		}
	}
	table, label := location(r.d.root.Type(), full)
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

// Validate runs the validators of the struct that src points to, for a config that was made in Go and not decoded; name
// stands for the file in messages, which have no line. Its errors are those of [Decode].
func Validate(name string, src any) error {
	root, err := target(src)
	if err != nil {
		return err
	}
	d := &decoder{file: name, root: root}
	d.validate(root, nil)
	if len(d.problems) > 0 {
		return sorted(d.problems, d.rank)
	}
	return nil
}

// valueAt finds the value that key names; ok is false where there is none, or a nil pointer on the way.
func valueAt(v reflect.Value, key toml.Key) (reflect.Value, bool) {
	for _, part := range key {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			f, ok := fieldNamed(v.Type(), part)
			if !ok {
				return v, false
			}
			v = v.FieldByIndex(f.index)
		case reflect.Slice, reflect.Array:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= v.Len() {
				return v, false
			}
			v = v.Index(n)
		default:
			return v, false
		}
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v, v.IsValid()
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
	for i := range v.NumField() {
		if sf := v.Type().Field(i); sf.Anonymous && tagName(sf) == "" {
			d.validate(v.Field(i), key) // its keys are the keys of this table
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		if len(f.index) == 1 {
			d.validate(v.FieldByIndex(f.index), child(key, f.name))
		}
	}
	if !v.Addr().CanInterface() { // an embedded struct of an unexported type: only its keys are ours
		return
	}
	if validator, ok := v.Addr().Interface().(Validator); ok {
		validator.Validate(&Report{d: d, base: key})
	}
}
