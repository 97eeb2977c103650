package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// Starter is a kind that knows what people begin with.
type Starter interface {
	// Start are overrides ("model.n_layer=4") of a first config of this kind, for keys of any table. Those that another kind of that
	// config does not have are left out.
	Start() []string
}

// Outline writes src, a struct or a pointer to one, for people to begin with: each key of [Encode] with its meaning beside it. Keys that
// live holds, by their full names ("train.steps"), and those that choose a kind, are set; others stand there as a comment, with their defaults. Tables that are nil are left out.
func Outline(src any, live map[string]bool) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(src))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configs: outline of %T; want a struct", src)
	}
	if err := checkType(v.Type(), v.Type().String(), Lists{}, nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	outlineTable(&out, addressable(v), nil, live)
	return out.Bytes(), nil
}

// outlineTable writes the keys of the struct v, whose header is already written, and then its tables.
func outlineTable(out *bytes.Buffer, v reflect.Value, key toml.Key, live map[string]bool) {
	var tables []field
	var lines [][2]string // what is set, and what it means
	for _, f := range fieldsOf(v) {
		value := f.v
		if f.one != nil && f.one.value() == nil || value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		if value = reflect.Indirect(value); value.Kind() == reflect.Struct {
			tables = append(tables, f)
			continue
		}
		if _, array := isTable(value.Type()); array {
			continue
		}
		line := fmt.Sprintf("%s = %s", toml.Key{f.name}, formatFull(value))
		if f.one == nil && !live[child(key, f.name).String()] {
			line = "# " + line
		}
		lines = append(lines, [2]string{line, meaning(f)})
	}
	width := 0
	for _, l := range lines {
		if n := len(l[0]); n <= maxOutlined {
			width = max(width, n)
		}
	}
	for _, l := range lines {
		if l[1] == "" {
			fmt.Fprintln(out, l[0])
			continue
		}
		fmt.Fprintf(out, "%-*s  # %s\n", width, l[0], l[1])
	}
	for _, f := range tables {
		fmt.Fprintf(out, "\n[%s]\n", child(key, f.name))
		outlineTable(out, reflect.Indirect(f.v), child(key, f.name), live)
	}
}

// maxOutlined is the longest line that the comments of others are lined up behind.
const maxOutlined = 40

// meaning is what a key's tags say, in one line.
func meaning(f field) string {
	text := f.tag.Get("doc")
	if unit := f.tag.Get("unit"); unit != "" && !strings.Contains(text, unit) {
		text += ", in " + unit
	}
	if choices := offered(choicesOf(f)); f.one == nil && len(choices) > 0 {
		text += ": " + strings.Join(choices, ", ")
	}
	return text
}
