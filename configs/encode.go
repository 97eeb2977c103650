package configs

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Encode writes src, a struct or a pointer to one, as TOML: every key spelled out, in the order of the struct's
// fields, the keys of a table before the tables inside it (as TOML demands). Nil pointers are left out. Decoding the
// result over the same defaults gives src back. A [OneOf] is written as the keys of its kind, and as no key where it has
// none. It returns an error for what TOML or [Decode] does not take: NaN, infinities, text that is not UTF-8, unsigned integers above 2^63 - 1.
func Encode(src any) ([]byte, error) { return EncodeBut(src, nil) }

// EncodeBut is [Encode] without the keys whose full names ("train.decay_steps") are in left.
func EncodeBut(src any, left map[string]bool) ([]byte, error) {
	v := reflect.ValueOf(src)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configs: encode %T; want a struct", src)
	}
	if err := checkType(v.Type(), v.Type().String(), Lists{}, nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := encodeTable(&out, addressable(v), nil, left); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// addressable is v, or a copy that is.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	return fresh
}

// encodeTable writes the keys of the struct v, whose header is already written, and then its sub-tables.
func encodeTable(out *bytes.Buffer, v reflect.Value, key toml.Key, left map[string]bool) error {
	var tables []field
	for _, f := range fieldsOf(v) {
		value := f.v
		if f.one != nil && f.one.value() == nil || left[child(key, f.name).String()] {
			continue
		}
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		table, array := isTable(value.Type())
		if table || array && value.Len() > 0 && value.Type().Elem().Kind() == reflect.Struct {
			tables = append(tables, f)
			continue
		}
		if err := encodable(value, child(key, f.name)); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s = %s\n", toml.Key{f.name}, formatFull(value))
	}
	for _, f := range tables {
		if err := encodeSub(out, reflect.Indirect(f.v), child(key, f.name), left); err != nil {
			return err
		}
	}
	return nil
}

// encodeSub writes a table or an array of tables with its headers.
func encodeSub(out *bytes.Buffer, v reflect.Value, key toml.Key, left map[string]bool) error {
	if v.Kind() == reflect.Struct {
		fmt.Fprintf(out, "\n[%s]\n", key)
		return encodeTable(out, v, key, left)
	}
	for i := range v.Len() {
		fmt.Fprintf(out, "\n[[%s]]\n", key)
		if err := encodeTable(out, v.Index(i), key, left); err != nil {
			return err
		}
	}
	return nil
}

// encodable refuses the values that would not come back.
func encodable(v reflect.Value, key toml.Key) error {
	switch {
	case v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)):
		return fmt.Errorf("configs: encode %s = %v; want a finite number", key, v.Float())
	case v.CanUint() && v.Uint() > math.MaxInt64:
		return fmt.Errorf("configs: encode %s = %d; TOML holds integers up to %d", key, v.Uint(), int64(math.MaxInt64))
	case v.Kind() == reflect.String && !utf8.ValidString(v.String()):
		return fmt.Errorf("configs: encode %s = %q; want UTF-8", key, v.String())
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			if err := encodable(v.Index(i), element(key, i)); err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(addressable(v)) {
			if err := encodable(reflect.Indirect(f.v), child(key, f.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxShown bounds a value inside a message, in bytes.
const maxShown = 60

// formatValue is formatFull, cut to a length that a message can carry.
func formatValue(v reflect.Value) string {
	text := formatFull(v)
	if len(text) <= maxShown {
		return text
	}
	cut := maxShown - len("...")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// formatFull writes a value as TOML: one of a config's fields or one that the TOML parser returned.
func formatFull(v reflect.Value) string {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return "nothing"
	}
	if when, ok := v.Interface().(time.Time); ok {
		return when.Format(time.RFC3339Nano)
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Float32, reflect.Float64:
		return formatFloat(v.Float(), v.Type().Bits())
	case reflect.Slice, reflect.Array:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = formatFull(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Struct:
		var parts []string
		for _, f := range fieldsOf(addressable(v)) {
			if value := f.v; value.Kind() != reflect.Pointer || !value.IsNil() {
				parts = append(parts, toml.Key{f.name}.String()+" = "+formatFull(value))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Map:
		return "{...}"
	}
	return fmt.Sprint(v.Interface())
}

// formatFloat writes the shortest number that reads back the same; TOML tells floats from integers by a point or an
// exponent.
func formatFloat(f float64, bits int) string {
	if math.IsNaN(f) {
		return "nan"
	}
	if math.IsInf(f, 0) {
		return strings.ToLower(strconv.FormatFloat(f, 'g', -1, bits))
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
