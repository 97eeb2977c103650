package constrain

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// vocabulary is all bytes, some longer tokens, and the last one ends a text.
func vocabulary() (*Vocabulary, []string) {
	var texts []string
	for b := range 256 {
		texts = append(texts, string([]byte{byte(b)}))
	}
	texts = append(texts, `": `, `{"`, `"}`, `", "`, `"]`, `}}`, `]}`, "true", "false", "null", "abc", "12", "0.5", "é", "日本", "\xe6\x97", `\n`, `, "`, " a", `\u00`, "")
	return NewVocabulary(texts, []int{len(texts) - 1}), texts
}

// write draws allowed tokens until the text ends, sooner and sooner. It fails where nothing may follow.
func write(t *testing.T, c *Constraint, texts []string, r *rand.Rand) string {
	t.Helper()
	w := c.Writing()
	var written []int
	var b strings.Builder
	end := len(texts) - 1
	for n := 0; ; n++ {
		scores := make([]float32, len(texts))
		if !w.Apply(written, scores, -1) {
			t.Fatalf("%q is not allowed", b.String())
		}
		var may []int
		for id, x := range scores {
			if x == 0 {
				may = append(may, id)
			}
		}
		if len(may) == 0 {
			t.Fatalf("nothing may follow %q", b.String())
		}
		if (scores[end] == 0) != w.Complete(written) {
			t.Fatalf("%q: the end is allowed %t, and it is complete %t", b.String(), scores[end] == 0, w.Complete(written))
		}
		id := may[r.IntN(len(may))]
		if n > 40 && r.IntN(4) > 0 { // it is to come to an end
			for _, text := range []string{"", "\"", "}", "]", ":", ".", "n", "u", "l", "t", "e", "0", "1"} {
				if i := slices.Index(texts, text); scores[i] == 0 {
					id = i
					break
				}
			}
		}
		if scores[end] == 0 && (n > 40 || r.IntN(3) == 0) {
			id = end
		}
		if id == end {
			return b.String()
		}
		if n > 5000 {
			t.Fatalf("it does not end: %.300s", b.String())
		}
		written = append(written, id)
		b.WriteString(texts[id])
	}
}

// schemas makes random schemas of everything that is supported.
type schemas struct{ *rand.Rand }

func (s schemas) schema(depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "types"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "object", "array", "array", "anyOf", "ref", "any")
	}
	switch kind := kinds[s.IntN(len(kinds))]; kind {
	case "string":
		x := map[string]any{"type": "string", "description": "a text"}
		low := s.IntN(4)
		if s.IntN(2) == 0 {
			x["minLength"] = low
		}
		if s.IntN(2) == 0 {
			x["maxLength"] = low + s.IntN(6)
		}
		return x
	case "integer", "number":
		x := map[string]any{"type": kind}
		low := s.IntN(4000) - 2000
		bound := func(n int) any {
			if kind == "number" && s.IntN(2) == 0 {
				return json.Number(fmt.Sprintf("%d.%d", n, s.IntN(100)))
			}
			return n
		}
		switch s.IntN(3) {
		case 0:
			x["minimum"] = bound(low)
		case 1:
			x["exclusiveMinimum"] = bound(low)
		}
		switch s.IntN(3) {
		case 0:
			x["maximum"] = bound(low + 2 + s.IntN(300))
		case 1:
			x["exclusiveMaximum"] = bound(low + 3 + s.IntN(3))
		}
		return x
	case "enum":
		return map[string]any{"enum": []any{"red", 3, 4.5, nil, true, []any{1, "x"}, map[string]any{"a": "<b>"}}[:1+s.IntN(7)]}
	case "const":
		return map[string]any{"const": []any{"é\"\\\n", -1, false, []any{}}[s.IntN(4)]}
	case "pattern":
		return map[string]any{"type": "string", "pattern": []string{`^[a-z]{2,4}-\d+$`, `^(foo|bar)*$`, `x`, `^\w+@\w+\.(com|org)$`, `^[^a-y"]+$`, `^"q\\u?$`, `^[À-Ö日-月]{1,3}$`, `^.?$`}[s.IntN(8)]}
	case "types":
		return map[string]any{"type": []string{"string", "null", "boolean"}}
	case "array":
		x := map[string]any{"type": "array", "items": s.schema(depth - 1)}
		low := s.IntN(3)
		if s.IntN(2) == 0 {
			x["minItems"] = low
		}
		if s.IntN(2) == 0 {
			x["maxItems"] = low + s.IntN(3)
		}
		return x
	case "anyOf":
		return map[string]any{"anyOf": []any{s.schema(depth - 1), s.schema(depth - 1), s.schema(depth - 1)}}
	case "ref":
		return map[string]any{"$ref": "#/$defs/tree"}
	case "object":
		properties, required := map[string]any{}, []string{}
		for range 1 + s.IntN(4) {
			name := []string{"a", "b", "name with \"quotes\"", "été", "list"}[s.IntN(5)]
			properties[name] = s.schema(depth - 1)
			if s.IntN(2) == 0 && !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	case "any":
		return map[string]any{}
	default:
		return map[string]any{"type": kind}
	}
}

// TestSchemas: what is written under random schemas is valid by them, by an independent validator.
func TestSchemas(t *testing.T) {
	t.Parallel()
	n := 500
	if testing.Short() {
		n = 100
	}
	v, texts := vocabulary()
	for seed := range n {
		r := rand.New(rand.NewPCG(7, uint64(seed)))
		x := schemas{r}.schema(3)
		x["$defs"] = map[string]any{"tree": map[string]any{"type": "object", "properties": map[string]any{
			"value": map[string]any{"type": "integer"}, "children": map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/tree"}, "maxItems": 2}},
			"required": []string{"value"}, "additionalProperties": false}}
		if _, ref := x["$ref"]; ref {
			x = map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/tree"}, "$defs": x["$defs"]}
		}
		text, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Compile(v, text)
		if err != nil {
			t.Fatalf("seed %d: %v: %s", seed, err, text)
		}
		check, err := validator(text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 4 {
			got := write(t, c, texts, r)
			if err := check([]byte(got)); err != nil {
				t.Fatalf("seed %d: %v\nschema %s\nwritten %s", seed, err, text, got)
			}
		}
	}
}

// TestAllows: what is valid, as models write it, can be written; what is not cannot.
func TestAllows(t *testing.T) {
	t.Parallel()
	v, texts := vocabulary()
	allows := func(schema, text string) bool {
		c, err := Compile(v, []byte(schema))
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		w := c.Writing()
		var written []int
		for _, b := range []byte(text) {
			written = append(written, int(b))
		}
		return w.Complete(written)
	}
	_ = texts
	for _, c := range []struct {
		schema  string
		yes, no []string
	}{
		{`{"type": "integer", "minimum": 3, "maximum": 120}`, []string{"3", "9", "10", "99", "100", "119", "120"}, []string{"2", "121", "03", "-3", "1200", "3.0", ""}},
		{`{"type": "integer", "exclusiveMinimum": -12, "exclusiveMaximum": 5}`, []string{"-11", "-1", "0", "4"}, []string{"-12", "5", "-0", "-100"}},
		{`{"type": "number", "minimum": 0.25, "maximum": 1.5}`, []string{"0.25", "0.3", "1", "1.5", "1.50", "0.999"}, []string{"0.2", "0.249", "1.51", "0", "2", "1.", ".5"}},
		{`{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}`, []string{"0.001", "0.9999"}, []string{"0", "0.0", "1", "-0.1"}},
		{`{"type": "number", "minimum": -1.5, "maximum": -0.5}`, []string{"-1.5", "-0.5", "-1", "-0.75"}, []string{"-0.4", "-1.6", "1", "-2"}},
		{`{"type": "number"}`, []string{"0", "-1.5e10", "12.25"}, []string{"01", "+1", "1e", "--1"}},
		{`{"type": "string", "minLength": 2, "maxLength": 3}`, []string{`"ab"`, `"日本"`, `"a\n"`, `"\u0001b\""`}, []string{`"a"`, `"abcd"`, `"ab`, "\"a\n\"", "\"\xff\xff\""}},
		{`{"type": "string", "pattern": "^a+b?$"}`, []string{`"a"`, `"aab"`}, []string{`""`, `"ba"`, `"abb"`}},
		{`{"type": "string", "pattern": "b"}`, []string{`"b"`, `"abc"`}, []string{`"ac"`}},
		{`{"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}`, []string{"[true]", "[true, false]"}, []string{"[]", "[true, true, true]", "[1]", "[true,false]"}},
		{`{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["b"], "additionalProperties": false}`,
			[]string{`{"b": null}`, `{"a": null, "b": null}`}, []string{`{}`, `{"a": null}`, `{"b": null, "a": null}`, `{"b": null, "c": 1}`}},
		{`{"type": "object"}`, []string{`{}`, `{"x": [1, {"y": null}]}`}, []string{`[]`, `{x: 1}`}},
		{`{"enum": ["a", 2], "type": "string"}`, []string{`"a"`}, []string{`2`}},
		{`{"anyOf": [{"const": 1}, {"const": 12}]}`, []string{"1", "12"}, []string{"2", "123"}},
	} {
		for _, text := range c.yes {
			if !allows(c.schema, text) {
				t.Errorf("%s: %s cannot be written", c.schema, text)
			}
		}
		for _, text := range c.no {
			if allows(c.schema, text) {
				t.Errorf("%s: %s can be written", c.schema, text)
			}
		}
	}
}

// TestRefused: what cannot be held is said with its place; hostile schemas take no time.
func TestRefused(t *testing.T) {
	t.Parallel()
	v, _ := vocabulary()
	for schema, want := range map[string]string{
		`{`: "no valid JSON", `3`: "no schema", `false`: "nothing is valid",
		`{"type": "number", "multipleOf": 3}`: `"multipleOf" is not supported`, `{"type": "string", "format": "date"}`: `"format" is not supported`,
		`{"oneOf": [{}]}`: `"oneOf" is not supported`, `{"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}}`: `#/properties/a: "uniqueItems"`,
		`{"type": "strange"}`: "no type", `{"$ref": "http://x/y"}`: "one into this document", `{"$ref": "#/$defs/none"}`: "leads nowhere", `{"$ref": "#"}`: "nothing is valid",
		`{"type": "object", "additionalProperties": {"type": "string"}}`: "want false", `{"type": "string", "pattern": "(?i)a"}`: "without regard to case", `{"type": "string", "pattern": "a\\b"}`: "not supported",
		`{"type": "string", "pattern": "("}`: "missing closing", `{"type": "string", "maxLength": 1e9}`: "want 0 to", `{"type": "integer", "minimum": 1e999999999}`: "out of range",
		`{"type": "integer", "minimum": 5, "maximum": 4}`: "nothing is valid", `{"enum": []}`: "",
		strings.Repeat(`{"items": `, 70) + "{}" + strings.Repeat("}", 70): "levels deep", `{"description": "` + strings.Repeat("x", maxSchema) + `"}`: "bytes",
		`{"enum": [1], "$ref": "file:///etc/passwd"}`: "leads|one into this document|not supported",
	} {
		began := time.Now()
		_, err := Compile(v, []byte(schema))
		if err == nil || !errors.Is(err, ErrSchema) || !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) }) {
			t.Errorf("%.100s: %v, want %s", schema, err, want)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%.100s: %s", schema, took)
		}
	}
}

// FuzzSchema: no schema ends the process or takes all time.
func FuzzSchema(f *testing.F) {
	v, _ := vocabulary()
	for seed := range 30 {
		text, err := json.Marshal(schemas{rand.New(rand.NewPCG(7, uint64(seed)))}.schema(2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, schema []byte) {
		c, err := Compile(v, schema)
		if err != nil {
			return
		}
		scores := make([]float32, len(v.texts))
		c.Writing().Apply(nil, scores, -1)
	})
}
