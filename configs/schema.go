package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// field is one TOML key of a struct type.
type field struct {
	name  string
	index []int // for reflect's FieldByIndex: more than one step for a key lent by an embedded struct
	typ   reflect.Type
}

// fieldsOf lists the TOML keys of a struct type in declaration order.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name := tagName(sf)
		switch {
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			for _, lent := range fieldsOf(sf.Type) {
				lent.index = append([]int{i}, lent.index...)
				fields = append(fields, lent)
			}
		case sf.IsExported() && name != "" && name != "-":
			fields = append(fields, field{name, []int{i}, sf.Type})
		}
	}
	return fields
}

func tagName(sf reflect.StructField) string {
	name, _, _ := strings.Cut(sf.Tag.Get("toml"), ",")
	return name
}

// fieldNamed finds a key of a struct type.
func fieldNamed(t reflect.Type, name string) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// checkType returns an error that names the first field this package cannot fill. seen holds the struct types above,
// because a config that contains itself has no finite encoding.
func checkType(t reflect.Type, where string, seen []reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("configs: %s is a pointer to a pointer", where)
		}
		return checkType(t.Elem(), where, seen)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("configs: %s has elements that are pointers; want values", where)
		}
		return checkType(t.Elem(), where, seen)
	case reflect.Struct:
		return checkStruct(t, where, seen)
	}
	return fmt.Errorf("configs: %s has type %s, which a config cannot hold", where, t)
}

func checkStruct(t reflect.Type, where string, seen []reflect.Type) error {
	for _, above := range seen {
		if above == t {
			return fmt.Errorf("configs: %s contains its own type %s", where, t)
		}
	}
	seen = append(seen[:len(seen):len(seen)], t)
	for i := range t.NumField() {
		sf := t.Field(i)
		embedded := sf.Anonymous && sf.Type.Kind() == reflect.Struct
		switch name := tagName(sf); {
		case name == "-" || !sf.IsExported() && !embedded:
			continue
		case name == "" && !embedded:
			return fmt.Errorf("configs: %s.%s has no toml tag", where, sf.Name)
		}
		if err := checkType(sf.Type, where+"."+sf.Name, seen); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for _, f := range fieldsOf(t) {
		if names[f.name] {
			return fmt.Errorf("configs: %s has two fields tagged %q", where, f.name)
		}
		names[f.name] = true
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

// location returns how messages name a key: the header of its table ("[model]", "[[model.linear]]", "" for the top
// level) and the key inside it ("d_model", "betas[1]", "" where the key is itself a table).
func location(root reflect.Type, key toml.Key) (table, label string) {
	var names toml.Key // the table's name, without the indices of its elements
	element := false   // the table is an element of an array of tables
	t := root
	for _, part := range key {
		if t == nil {
			return header(names, element), label + "." + part
		}
		switch t = pointee(t); t.Kind() {
		case reflect.Slice, reflect.Array:
			label += "[" + part + "]"
			t = t.Elem()
		default:
			label = toml.Key{part}.String()
			f, ok := field{}, false
			if t.Kind() == reflect.Struct {
				f, ok = fieldNamed(t, part)
			}
			t = nil
			if ok {
				t = f.typ
			}
		}
		if t == nil {
			continue
		}
		if table, array := isTable(t); table || array {
			if !strings.HasSuffix(label, "]") { // a new name, not an index into the last one
				names = append(names[:len(names):len(names)], part)
			}
			element = array || strings.HasSuffix(label, "]")
			if table {
				label = ""
			}
		}
	}
	if t != nil {
		if _, array := isTable(t); array {
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
