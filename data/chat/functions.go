package chat

import (
	"errors"
	"fmt"
	"html"
	"strings"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// What macros that may call themselves, and products, may come to.
const (
	maxCalled   = 32      // calls within each other: the engine's own stack is not bounded
	maxCalls    = 10_000  // of a text
	maxArgument = 1 << 18 // values and bytes of what a macro is given, counted as often as they are mentioned
	maxProduct  = 1 << 16 // bytes of a repeated text; a number may be as large as maxNumber
	maxNumber   = 1 << 40
	maxValue    = 8 << 20   // values and bytes of what a variable is set to
	maxWritten  = 64 << 20  // bytes that are written in all, into variables too
	maxCounted  = 1_000_000 // numbers that range counts in all, however its loops lie within each other
)

// functions are what rewritten templates call, for one rendering.
func functions() map[string]jinja.Value {
	level, calls, counted, written := 0, 0, 0, 0
	out := map[string]jinja.Value{}
	add := func(name string, do func(args []jinja.Value) (jinja.Value, error)) {
		out[name] = jinja.NewCallable(name, func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) { return do(args) })
	}
	one := func(name string, do func(v jinja.Value) (jinja.Value, error)) {
		add(name, func(args []jinja.Value) (jinja.Value, error) {
			if len(args) != 1 {
				return jinja.None(), fmt.Errorf("%d values where one is wanted", len(args))
			}
			return do(args[0])
		})
	}
	out[fnJSON] = jsonCallable()
	one(fnGenerator, func(jinja.Value) (jinja.Value, error) {
		return jinja.None(), errors.New("tojson of values that come one by one; Python refuses it: the template lacks |list")
	})
	one(fnString, func(v jinja.Value) (jinja.Value, error) { return jinja.NewString(pythonString(v)), nil })
	one(fnPrinted, func(v jinja.Value) (jinja.Value, error) {
		if v.IsUndefined() {
			return v, nil
		}
		text := pythonString(v)
		if written += len(text); written > maxWritten {
			return v, fmt.Errorf("more than %d bytes are written", maxWritten)
		}
		return jinja.NewString(text), nil
	})
	one(fnSet, func(v jinja.Value) (jinja.Value, error) {
		if weigh(v, maxValue) < 0 {
			return v, fmt.Errorf("a variable is set to more than %d values and bytes", maxValue)
		}
		return v, nil
	})
	one(fnDefined, func(v jinja.Value) (jinja.Value, error) {
		if v.IsUndefined() {
			return v, errors.New("an undefined value beside +")
		}
		return v, nil
	})
	one(fnEach, func(v jinja.Value) (jinja.Value, error) {
		if v.IsNone() || v.IsBool() || v.IsNumber() {
			return v, fmt.Errorf("a loop over %s", v)
		}
		return v, nil
	})
	one(fnEscape, func(v jinja.Value) (jinja.Value, error) {
		return jinja.NewString(html.EscapeString(pythonString(v))), nil
	})
	add(fnTimes, times)
	add("range", func(args []jinja.Value) (jinja.Value, error) {
		from, to, step, err := bounds(args)
		if err != nil {
			return jinja.None(), err
		}
		var items []jinja.Value
		for x := from; step > 0 && x < to || step < 0 && x > to; x += step {
			if counted++; counted > maxCounted {
				return jinja.None(), fmt.Errorf("loops over range count more than %d", maxCounted)
			}
			items = append(items, jinja.NewInt(x))
		}
		return jinja.NewList(items), nil
	})
	add(fnEnter, func(args []jinja.Value) (jinja.Value, error) {
		level++
		if calls++; level > maxCalled || calls > maxCalls {
			return jinja.None(), fmt.Errorf("macros call each other deeper than %d, or more than %d times", maxCalled, maxCalls)
		}
		left := maxArgument
		for _, v := range args {
			if left = weigh(v, left); left < 0 {
				return jinja.None(), fmt.Errorf("a macro is given more than %d values and bytes", maxArgument)
			}
		}
		return jinja.None(), nil
	})
	one(fnLeave, func(v jinja.Value) (jinja.Value, error) {
		level--
		if weigh(v, maxArgument) < 0 {
			return v, fmt.Errorf("a macro writes more than %d bytes", maxArgument)
		}
		return v, nil
	})
	return out
}

// bounds are those of range(to), range(from, to) or range(from, to, step).
func bounds(args []jinja.Value) (from, to, step int64, err error) {
	if len(args) < 1 || len(args) > 3 {
		return 0, 0, 0, fmt.Errorf("range takes 1 to 3 numbers, not %d", len(args))
	}
	n := []int64{0, 0, 1}
	for i, v := range args {
		if !v.IsInt() || v.AsInt() > maxNumber || v.AsInt() < -maxNumber {
			return 0, 0, 0, fmt.Errorf("range of %s; want whole numbers", kindOf(v))
		}
		n[i] = v.AsInt()
	}
	if len(args) == 1 {
		n[0], n[1] = 0, n[0]
	}
	if n[2] == 0 {
		return 0, 0, 0, errors.New("range by steps of 0")
	}
	return n[0], n[1], n[2], nil
}

// times is Python's product of two numbers, or of a text and a number.
func times(args []jinja.Value) (jinja.Value, error) {
	if len(args) != 2 {
		return jinja.None(), fmt.Errorf("a product of %d", len(args))
	}
	a, b := args[0], args[1]
	if b.IsString() {
		a, b = b, a
	}
	switch {
	case a.IsString() && b.IsInt():
		n := max(0, b.AsInt())
		if n > maxProduct || n*int64(len(a.AsString())) > maxProduct {
			return jinja.None(), fmt.Errorf("a text repeated %d times; want at most %d bytes", n, maxProduct)
		}
		return jinja.NewString(strings.Repeat(a.AsString(), int(n))), nil
	case a.IsInt() && b.IsInt():
		x, y := a.AsInt(), b.AsInt()
		if p := float64(x) * float64(y); p > maxNumber || p < -maxNumber {
			return jinja.None(), fmt.Errorf("%d times %d is too large", x, y)
		}
		return jinja.NewInt(x * y), nil
	case a.IsNumber() && b.IsNumber():
		return jinja.NewFloat(number(a) * number(b)), nil
	}
	return jinja.None(), fmt.Errorf("%s times %s; want numbers, or a text and a whole number", kindOf(a), kindOf(b))
}

func number(v jinja.Value) float64 {
	if v.IsInt() {
		return float64(v.AsInt())
	}
	return v.AsFloat()
}

func kindOf(v jinja.Value) string {
	switch {
	case v.IsString():
		return "a text"
	case v.IsInt():
		return "a whole number"
	case v.IsFloat():
		return "a number"
	case v.IsUndefined():
		return "an undefined value"
	}
	return "a value"
}

// weigh takes what a value holds from what is left, and stops below 0.
func weigh(v jinja.Value, left int) int {
	left--
	switch {
	case v.IsString():
		left -= len(v.AsString())
	case v.IsList():
		for i := 0; i < v.AsList().Len() && left >= 0; i++ {
			left = weigh(v.AsList().Get(i), left)
		}
	case v.IsDict():
		for _, k := range v.AsDict().OrderedKeys() {
			if x, _ := v.AsDict().Get(k); left >= 0 {
				left = weigh(x, left-len(k))
			}
		}
	}
	return left
}

// pythonString is str of a value.
func pythonString(v jinja.Value) string {
	if v.IsString() {
		return v.AsString()
	}
	var b strings.Builder
	represent(&b, v, 0)
	return b.String()
}

// represent writes repr of a value, but of an undefined one nothing.
func represent(b *strings.Builder, v jinja.Value, level int) {
	switch {
	case level > maxLevels || v.IsUndefined():
	case v.IsString():
		representString(b, v.AsString())
	case v.IsFloat():
		b.WriteString(strings.NewReplacer("NaN", "nan", "Infinity", "inf").Replace(pythonFloat(v.AsFloat())))
	case v.IsList():
		b.WriteByte('[')
		for i := range v.AsList().Len() {
			if i > 0 {
				b.WriteString(", ")
			}
			represent(b, v.AsList().Get(i), level+1)
		}
		b.WriteByte(']')
	case v.IsDict():
		b.WriteByte('{')
		for i, k := range v.AsDict().OrderedKeys() {
			if i > 0 {
				b.WriteString(", ")
			}
			representString(b, k)
			b.WriteString(": ")
			x, _ := v.AsDict().Get(k)
			represent(b, x, level+1)
		}
		b.WriteByte('}')
	default: // None, True, 1
		b.WriteString(v.String())
	}
}

// representString writes repr of a text: in double quotes if it has single ones and no double ones.
func representString(b *strings.Builder, text string) {
	quote := '\''
	if strings.ContainsRune(text, '\'') && !strings.ContainsRune(text, '"') {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, r := range text {
		switch {
		case r == quote || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteRune(quote)
}
