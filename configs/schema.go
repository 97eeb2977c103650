package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// field is one key of a table.
type field struct {
	name string
	v    reflect.Value // addressable, as the table is; of a OneOf's key its name
	tag  reflect.StructTag
	one  oneOf // what the key chooses the kind of; nil: it is a key like others
}

// open lists the keys of the table v, an addressable struct, in declaration order: its own, those that embedded structs lend
// and those of the kinds that it has chosen. The values of kinds are copies, which closeKinds writes back.
func open(v reflect.Value) (fields []field, closeKinds func()) {
	if one, ok := asOneOf(v); ok {
		return openKind(one, v, kindKey, "")
	}
	var closers []func()
	lend := func(lent []field, closeKinds func()) {
		fields, closers = append(fields, lent...), append(closers, closeKinds)
	}
	for i := range v.NumField() {
		sf, at := v.Type().Field(i), v.Field(i)
		name := tagName(sf)
		if one, ok := asOneOf(at); ok && name == "" {
			lend(openKind(one, at, kindKeyOf(sf), sf.Tag))
			continue
		}
		switch {
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			lend(open(at))
		case sf.IsExported() && name != "" && name != "-":
			fields = append(fields, field{name: name, v: at, tag: sf.Tag})
		}
	}
	return fields, func() {
		for _, c := range closers {
			c()
		}
	}
}

// openKind lists the keys of the OneOf at v: the one that chooses the kind, and the kind's.
func openKind(one oneOf, v reflect.Value, key string, tag reflect.StructTag) (fields []field, closeKinds func()) {
	fields = []field{{name: key, v: v.FieldByName("Name"), tag: tag, one: one}}
	kind, ok := kindOf(one)
	if !ok {
		return fields, func() {}
	}
	name := one.chosen()
	more, closeMore := open(kind)
	return append(fields, more...), func() {
		closeMore()
		if one.chosen() == name { // and not another kind since
			one.set(kind.Interface())
		}
	}
}

// kindOf is an addressable copy of the kind that one has chosen.
func kindOf(one oneOf) (reflect.Value, bool) {
	value := reflect.ValueOf(one.value())
	if value.Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	kind := reflect.New(value.Type()).Elem()
	kind.Set(value)
	return kind, true
}

// fieldsOf is open for reading.
func fieldsOf(v reflect.Value) []field {
	fields, _ := open(v)
	return fields
}

func tagName(sf reflect.StructField) string {
	name, _, _ := strings.Cut(sf.Tag.Get("toml"), ",")
	return name
}

// fieldNamed finds a key of a table.
func fieldNamed(v reflect.Value, name string) (field, bool) {
	for _, f := range fieldsOf(v) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// checkType returns an error that names the first field this package cannot fill. seen holds the struct types above,
// because a config that contains itself has no finite encoding.
func checkType(t reflect.Type, where string, l Lists, seen []reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("configs: %s is a pointer to a pointer", where)
		}
		return checkType(t.Elem(), where, l, seen)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("configs: %s has elements that are pointers; want values", where)
		}
		return checkType(t.Elem(), where, l, seen)
	case reflect.Struct:
		return checkStruct(t, where, l, seen)
	}
	return fmt.Errorf("configs: %s has type %s, which a config cannot hold", where, t)
}

func checkStruct(t reflect.Type, where string, l Lists, seen []reflect.Type) error {
	for _, above := range seen {
		if above == t {
			return fmt.Errorf("configs: %s contains its own type %s", where, t)
		}
	}
	seen = append(seen[:len(seen):len(seen)], t)
	if one, ok := isOneOf(t); ok {
		return checkKinds(one, where, l, seen)
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		name := tagName(sf)
		embedded := sf.Anonymous && sf.Type.Kind() == reflect.Struct
		one, shares := oneOf(nil), false
		if sf.Type.Kind() == reflect.Struct && name == "" && sf.IsExported() {
			one, shares = isOneOf(sf.Type)
		}
		switch {
		case name == "-" || !sf.IsExported() && !embedded:
			continue
		case shares:
			if err := checkKinds(one, where+"."+sf.Name, l, seen); err != nil {
				return err
			}
			continue
		case name == "" && !embedded:
			return fmt.Errorf("configs: %s.%s has no toml tag", where, sf.Name)
		}
		if err := checkType(sf.Type, where+"."+sf.Name, l, seen); err != nil {
			return err
		}
	}
	return checkNames(reflect.New(t).Elem(), t, where, l, nil)
}

// checkKinds checks the kinds that a OneOf may become. Those of a concept that stands above are checked there.
func checkKinds(one oneOf, where string, l Lists, seen []reflect.Type) error {
	for _, above := range seen {
		if above == one.concept() {
			return nil
		}
	}
	seen = append(seen[:len(seen):len(seen)], one.concept())
	for _, kind := range one.choices(l) {
		t := reflect.TypeOf(kind.make())
		if t == nil || t.Kind() != reflect.Struct {
			return fmt.Errorf("configs: %s: kind %q is a %v; want a struct", where, kind.name, t)
		}
		if err := checkStruct(t, where+"."+kind.name, l, seen); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses two keys of one name in the table v, whatever kinds it chooses.
func checkNames(v reflect.Value, t reflect.Type, where string, l Lists, chosen []reflect.Type) error {
	names := map[string]bool{}
	for _, f := range fieldsOf(v) {
		if names[f.name] {
			return fmt.Errorf("configs: %s has two fields tagged %q", where, f.name)
		}
		names[f.name] = true
	}
	for _, f := range fieldsOf(v) {
		if f.one == nil || slices.Contains(chosen, f.one.concept()) {
			continue
		}
		for _, kind := range f.one.choices(l) {
			again := reflect.New(t).Elem()
			g, ok := fieldNamed(again, f.name)
			if !ok {
				continue
			}
			g.one.Choose(kind.name, l)
			if err := checkNames(again, t, where+" of "+f.name+" "+kind.name, l, append(chosen, f.one.concept())); err != nil {
				return err
			}
		}
	}
	return nil
}

// isTable reports whether a type is written as a table or as an array of tables.
func isTable(t reflect.Type) (table, array bool) {
	t = pointee(t)
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		table, nested := isTable(t.Elem())
		return false, table || nested
	}
	return t.Kind() == reflect.Struct, false
}

func pointee(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// sample is v without pointers: what it points to, else what would stand there at first.
func sample(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		fresh := reflect.New(v.Type().Elem())
		setDefaults(fresh)
		return fresh.Elem()
	}
	return v.Elem()
}

// step goes from v to its part: a key of a table, or an element, which need not be there yet, of an array.
func step(v reflect.Value, part string) (reflect.Value, bool) {
	switch v = sample(v); v.Kind() {
	case reflect.Struct:
		f, ok := fieldNamed(v, part)
		return f.v, ok
	case reflect.Slice, reflect.Array:
		if n, err := strconv.Atoi(part); err == nil && n >= 0 && n < v.Len() {
			return v.Index(n), true
		}
		fresh := reflect.New(v.Type().Elem())
		setDefaults(fresh)
		return fresh.Elem(), true
	}
	return reflect.Value{}, false
}

// location returns how messages name a key: the header of its table ("[model]", "[[model.linear]]", "" for the top
// level) and the key inside it ("d_model", "betas[1]", "" where the key is itself a table).
func location(root reflect.Value, key toml.Key) (table, label string) {
	var names toml.Key // the table's name, without the indices of its elements
	element := false   // the table is an element of an array of tables
	v, ok := root, true
	for _, part := range key {
		if !ok {
			return header(names, element), label + "." + part
		}
		if k := sample(v).Kind(); k == reflect.Slice || k == reflect.Array {
			label += "[" + part + "]"
		} else {
			label = toml.Key{part}.String()
		}
		if v, ok = step(v, part); !ok {
			continue
		}
		if table, array := isTable(v.Type()); table || array {
			if !strings.HasSuffix(label, "]") { // a new name, not an index into the last one
				names = append(names[:len(names):len(names)], part)
			}
			element = array || strings.HasSuffix(label, "]")
			if table {
				label = ""
			}
		}
	}
	if ok {
		if _, array := isTable(v.Type()); array {
			label = ""
		}
	}
	return header(names, element), label
}

func header(names toml.Key, element bool) string {
	switch {
	case len(names) == 0:
		return ""
	case element:
		return "[[" + names.String() + "]]"
	}
	return "[" + names.String() + "]"
}

// child returns key extended by one part; the parent's memory is never shared.
func child(key toml.Key, part string) toml.Key {
	return append(key[:len(key):len(key)], part)
}

func element(key toml.Key, i int) toml.Key { return child(key, strconv.Itoa(i)) }
