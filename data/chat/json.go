package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/ardanlabs/jinja"
)

// jsonCallable is transformers' filter tojson: json.dumps of Python, by default without ASCII escapes and with keys in their order.
func jsonCallable() jinja.Value {
	return jinja.NewCallable(fnJSON, func(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
		if len(args) == 0 {
			return jinja.None(), fmt.Errorf("tojson without a value")
		}
		w := jsonWriter{indent: -1, item: ", ", key: ": "}
		for i, name := range []string{"ensure_ascii", "indent", "separators", "sort_keys"} {
			v, ok := named[name]
			if !ok && i+1 < len(args) {
				// The engine's own filter takes indent first, and so do templates.
				if v, ok = args[i+1], true; i == 0 && v.IsInt() {
					name = "indent"
				}
			}
			if !ok {
				continue
			}
			switch name {
			case "ensure_ascii":
				w.ascii = v.IsTruthy()
			case "sort_keys":
				w.sorted = v.IsTruthy()
			case "indent":
				if v.IsInt() {
					w.indent, w.item = int(v.AsInt()), ","
				}
			case "separators":
				if !v.IsList() || v.AsList().Len() != 2 || !v.AsList().Get(0).IsString() || !v.AsList().Get(1).IsString() {
					return jinja.None(), fmt.Errorf("tojson wants two texts as separators")
				}
				w.item, w.key = v.AsList().Get(0).AsString(), v.AsList().Get(1).AsString()
			}
		}
		if w.indent > 64 {
			return jinja.None(), fmt.Errorf("tojson with indent = %d, want at most 64", w.indent)
		}
		if err := w.value(args[0], 0); err != nil {
			return jinja.None(), err
		}
		return jinja.NewString(w.String()), nil
	})
}

// jsonWriter spells values as Python does.
type jsonWriter struct {
	strings.Builder
	indent        int // of lines of their own; below 0: one line
	item, key     string
	ascii, sorted bool
}

// line begins a line of its own.
func (w *jsonWriter) line(level int) {
	if w.indent >= 0 {
		w.WriteByte('\n')
		w.WriteString(strings.Repeat(" ", w.indent*level))
	}
}

func (w *jsonWriter) value(v jinja.Value, level int) error {
	if level > maxLevels {
		return fmt.Errorf("tojson of a value nested deeper than %d", maxLevels)
	}
	switch {
	case v.IsUndefined():
		return errors.New("tojson of an undefined value")
	case v.IsNone():
		w.WriteString("null")
	case v.IsBool():
		w.WriteString(strconv.FormatBool(v.AsBool()))
	case v.IsInt():
		w.WriteString(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		w.WriteString(pythonFloat(v.AsFloat()))
	case v.IsString():
		w.quoted(v.AsString())
	case v.IsList():
		l := v.AsList()
		if l.Len() == 0 {
			w.WriteString("[]")
			return nil
		}
		w.WriteByte('[')
		for i := range l.Len() {
			if i > 0 {
				w.WriteString(w.item)
			}
			w.line(level + 1)
			if err := w.value(l.Get(i), level+1); err != nil {
				return err
			}
		}
		w.line(level)
		w.WriteByte(']')
	case v.IsDict():
		d := v.AsDict()
		if d.Len() == 0 {
			w.WriteString("{}")
			return nil
		}
		keys := d.OrderedKeys()
		if w.sorted {
			slices.Sort(keys)
		}
		w.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				w.WriteString(w.item)
			}
			w.line(level + 1)
			w.quoted(k)
			w.WriteString(w.key)
			x, _ := d.Get(k)
			if err := w.value(x, level+1); err != nil {
				return err
			}
		}
		w.line(level)
		w.WriteByte('}')
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

// quoted writes a string as json.dumps does.
func (w *jsonWriter) quoted(text string) {
	w.WriteByte('"')
	for _, r := range text {
		switch r {
		case '"':
			w.WriteString(`\"`)
		case '\\':
			w.WriteString(`\\`)
		case '\n':
			w.WriteString(`\n`)
		case '\r':
			w.WriteString(`\r`)
		case '\t':
			w.WriteString(`\t`)
		case '\b':
			w.WriteString(`\b`)
		case '\f':
			w.WriteString(`\f`)
		default:
			switch {
			case r < 0x20 || w.ascii && r >= 0x7f && r < 0x10000:
				fmt.Fprintf(w, `\u%04x`, r)
			case w.ascii && r >= 0x10000:
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(w, `\u%04x\u%04x`, high, low)
			default:
				w.WriteRune(r)
			}
		}
	}
	w.WriteByte('"')
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
