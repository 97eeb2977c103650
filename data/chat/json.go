package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// jsonCallable is transformers' filter tojson: json.dumps of Python without ASCII escapes, keys in their order.
func jsonCallable() jinja.Value {
	return jinja.NewCallable("hf_tojson", func(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
		if len(args) == 0 {
			return jinja.None(), fmt.Errorf("tojson without a value")
		}
		indent := -1
		if v, ok := named["indent"]; ok && v.IsInt() {
			indent = int(v.AsInt())
		} else if len(args) > 1 && args[1].IsInt() {
			indent = int(args[1].AsInt())
		}
		if indent > 64 {
			return jinja.None(), fmt.Errorf("tojson with indent = %d, want at most 64", indent)
		}
		var b strings.Builder
		if err := writeJSON(&b, args[0], indent, 0); err != nil {
			return jinja.None(), err
		}
		return jinja.NewString(b.String()), nil
	})
}

// writeJSON spells a value as Python does: ", " and ": " between, or lines of their own with indent.
func writeJSON(b *strings.Builder, v jinja.Value, indent, level int) error {
	if level > maxLevels {
		return fmt.Errorf("tojson of a value nested deeper than %d", maxLevels)
	}
	line := func(level int) {
		if indent >= 0 {
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(" ", indent*level))
		}
	}
	between := ", "
	if indent >= 0 {
		between = ","
	}
	switch {
	case v.IsNone() || v.IsUndefined():
		b.WriteString("null")
	case v.IsBool():
		b.WriteString(strconv.FormatBool(v.AsBool()))
	case v.IsInt():
		b.WriteString(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		b.WriteString(pythonFloat(v.AsFloat()))
	case v.IsString():
		quoted(b, v.AsString())
	case v.IsList():
		l := v.AsList()
		if l.Len() == 0 {
			b.WriteString("[]")
			return nil
		}
		b.WriteByte('[')
		for i := range l.Len() {
			if i > 0 {
				b.WriteString(between)
			}
			line(level + 1)
			if err := writeJSON(b, l.Get(i), indent, level+1); err != nil {
				return err
			}
		}
		line(level)
		b.WriteByte(']')
	case v.IsDict():
		d := v.AsDict()
		if d.Len() == 0 {
			b.WriteString("{}")
			return nil
		}
		b.WriteByte('{')
		for i, k := range d.OrderedKeys() {
			if i > 0 {
				b.WriteString(between)
			}
			line(level + 1)
			quoted(b, k)
			b.WriteString(": ")
			x, _ := d.Get(k)
			if err := writeJSON(b, x, indent, level+1); err != nil {
				return err
			}
		}
		line(level)
		b.WriteByte('}')
	default:
		return fmt.Errorf("tojson of a function")
	}
	return nil
}

// pythonFloat spells a number as repr does.
func pythonFloat(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		text := strconv.FormatFloat(x, 'e', -1, 64)
		return text
	}
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.ContainsRune(text, '.') {
		text += ".0"
	}
	return text
}

// quoted writes a string as json.dumps with ensure_ascii=False does.
func quoted(b *strings.Builder, text string) {
	b.WriteByte('"')
	for _, r := range text {
		switch r {
		case '"':
			b.WriteString(`\"`)
		case '\\':
			b.WriteString(`\\`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		default:
			if r < 0x20 {
				fmt.Fprintf(b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}

// ParseJSON reads a JSON value with the order of its keys: objects become []Field, arrays []any.
func ParseJSON(content []byte) (any, error) {
	if !json.Valid(content) { // which also bounds how deeply values nest
		return nil, errors.New("chat: no valid JSON")
	}
	d := json.NewDecoder(strings.NewReader(string(content)))
	d.UseNumber()
	v, err := readJSON(d)
	if err == nil && d.More() {
		err = fmt.Errorf("chat: more than one JSON value")
	}
	return v, err
}

func readJSON(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := readJSON(d)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		fields := []Field{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			fields = append(fields, Field{name.(string), v})
		}
		_, err := d.Token()
		return fields, err
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	}
	return token, nil
}

// clock is strftime_now: the time in a format of C.
func clock(now time.Time) jinja.Value {
	return jinja.NewCallable("strftime_now", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		if len(args) != 1 || !args[0].IsString() {
			return jinja.None(), fmt.Errorf("strftime_now wants a format")
		}
		return jinja.NewString(strftime(now, args[0].AsString())), nil
	})
}

// strftime knows the letters that published templates use; others stay as they are.
func strftime(now time.Time, format string) string {
	layouts := map[byte]string{
		'd': "02", 'm': "01", 'Y': "2006", 'y': "06", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon",
		'H': "15", 'M': "04", 'S': "05", 'I': "03", 'p': "PM", 'Z': "MST", 'z': "-0700",
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' && i+1 < len(format) {
			i++
			if layout, ok := layouts[format[i]]; ok {
				b.WriteString(now.Format(layout))
				continue
			}
			if format[i] != '%' {
				b.WriteByte('%')
			}
		}
		b.WriteByte(format[i])
	}
	return b.String()
}
