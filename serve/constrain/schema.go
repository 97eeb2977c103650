package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sparrow/data/chat"
)

// Bounds of a schema, which comes from a stranger.
const (
	maxSchema = 64 << 10
	maxDepth  = 64
	maxNodes  = 200_000
	maxCount  = 10_000 // of characters or items that a schema may ask for
)

// ErrSchema marks a schema that cannot be held, or is none.
var ErrSchema = errors.New("constrain: the schema cannot be held")

// Annotations say nothing of what is valid.
var annotations = []string{"title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly"}

// Object is the schema of any object.
var Object = []byte(`{"type": "object"}`)

// Compile makes a constraint of a schema. Errors match ErrSchema and name the place and the keyword.
func Compile(v *Vocabulary, schema []byte) (*Constraint, error) {
	root, err := compile(schema)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return &Constraint{v: v, root: root, g: &grammar{stacks: map[stackKey]*stack{}}, masks: map[string]mask{}}, nil
}

// Between is a constraint of texts that a constraint of the same vocabulary allows, between two others.
func (c *Constraint) Between(before, after string) *Constraint {
	return &Constraint{v: c.v, root: seq(literal(before), c.root, literal(after)), g: &grammar{stacks: map[stackKey]*stack{}}, masks: map[string]mask{}}
}

func compile(schema []byte) (*node, error) {
	if len(schema) > maxSchema {
		return nil, fmt.Errorf("it has %d bytes; want at most %d", len(schema), maxSchema)
	}
	if n := depth(schema); n > maxDepth {
		return nil, fmt.Errorf("it nests %d levels deep; want at most %d", n, maxDepth)
	}
	doc, err := chat.ParseJSON(schema)
	if err != nil {
		return nil, err
	}
	c := &compiler{doc: doc, refs: map[string]*node{}}
	n, err := c.schema(doc, "#", 0)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, errors.New("nothing is valid by it")
	}
	return n, nil
}

// depth is how many brackets are open at once, of valid JSON.
func depth(text []byte) (most int) {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			n++
			most = max(most, n)
		case b == '}' || b == ']':
			n--
		}
	}
	return most
}

// compiler makes a grammar of a schema. A nil node is one by which nothing is valid.
type compiler struct {
	doc   any
	refs  map[string]*node // by their text; filled when they are done
	value *node            // any value
	nodes int
}

func field(s []chat.Field, name string) (any, bool) {
	for _, f := range s {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// schema is the grammar of a schema at a place.
func (c *compiler) schema(x any, at string, level int) (*node, error) {
	if c.nodes++; c.nodes > maxNodes || level > 4*maxDepth {
		return nil, fmt.Errorf("%s: the schema is too large", at)
	}
	switch x := x.(type) {
	case bool:
		if x {
			return c.anything(), nil
		}
		return nil, nil
	case []chat.Field:
		return c.object1(x, at, level)
	}
	return nil, fmt.Errorf("%s is no schema; want an object", at)
}

func (c *compiler) object1(s []chat.Field, at string, level int) (*node, error) {
	known := append([]string{"type"}, annotations...)
	allow := func(names ...string) error {
		for _, f := range s {
			if !slices.Contains(known, f.Name) && !slices.Contains(names, f.Name) {
				return fmt.Errorf("%s: %q is not supported here", at, f.Name)
			}
		}
		return nil
	}
	if ref, ok := field(s, "$ref"); ok {
		if err := allow("$ref"); err != nil {
			return nil, err
		}
		return c.reference(ref, at, level)
	}
	if of, ok := field(s, "anyOf"); ok {
		if err := allow("anyOf"); err != nil {
			return nil, err
		}
		if _, typed := field(s, "type"); typed {
			return nil, fmt.Errorf("%s: \"type\" beside \"anyOf\" is not supported", at)
		}
		list, ok := of.([]any)
		if !ok || len(list) == 0 {
			return nil, fmt.Errorf("%s/anyOf is no array of schemas", at)
		}
		return c.choose(len(list), func(i int) (*node, error) { return c.schema(list[i], fmt.Sprintf("%s/anyOf/%d", at, i), level+1) })
	}
	if values, ok := field(s, "enum"); ok {
		list, ok := values.([]any)
		if !ok {
			return nil, fmt.Errorf("%s/enum is no array", at)
		}
		return c.values(s, list, at)
	}
	if value, ok := field(s, "const"); ok {
		return c.values(s, []any{value}, at)
	}
	types, err := typesOf(s, at)
	if err != nil {
		return nil, err
	}
	if types == nil {
		if err := allow(); err != nil {
			return nil, fmt.Errorf("%w without a type", err)
		}
		return c.anything(), nil
	}
	var names []string
	for _, t := range types {
		names = append(names, keywords[t]...)
	}
	if err := allow(names...); err != nil {
		return nil, err
	}
	return c.choose(len(types), func(i int) (*node, error) { return c.typed(types[i], s, at, level) })
}

// keywords of each type.
var keywords = map[string][]string{
	"object": {"properties", "required", "additionalProperties"}, "array": {"items", "minItems", "maxItems"}, "string": {"minLength", "maxLength", "pattern"},
	"number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, "boolean": {}, "null": {},
}

// typesOf are the types of a schema; nil: it says nothing.
func typesOf(s []chat.Field, at string) ([]string, error) {
	x, ok := field(s, "type")
	if !ok {
		for _, f := range s { // as in {"properties": …}
			if f.Name == "properties" {
				return []string{"object"}, nil
			}
		}
		return nil, nil
	}
	list, ok := x.([]any)
	if !ok {
		list = []any{x}
	}
	var types []string
	for _, t := range list {
		name, _ := t.(string)
		if _, known := keywords[name]; !known {
			return nil, fmt.Errorf("%s/type holds %.50v, which is no type", at, t)
		}
		types = append(types, name)
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("%s/type is empty", at)
	}
	return types, nil
}

// choose is a choice of what can be.
func (c *compiler) choose(n int, of func(i int) (*node, error)) (*node, error) {
	var parts []*node
	for i := range n {
		x, err := of(i)
		if err != nil {
			return nil, err
		}
		if x != nil {
			parts = append(parts, x)
		}
	}
	switch len(parts) {
	case 0:
		return nil, nil
	case 1:
		return parts[0], nil
	}
	return any1(parts...), nil
}

// reference is the grammar of a part of the document.
func (c *compiler) reference(x any, at string, level int) (*node, error) {
	ref, ok := x.(string)
	if !ok || !strings.HasPrefix(ref, "#") {
		return nil, fmt.Errorf("%s/$ref = %.100v; want one into this document, as #/$defs/name", at, x)
	}
	if n, known := c.refs[ref]; known {
		return n, nil
	}
	target := c.doc
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#"), "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		s, ok := target.([]chat.Field)
		if ok {
			target, ok = field(s, step)
		}
		if !ok {
			return nil, fmt.Errorf("%s/$ref = %.100q leads nowhere", at, ref)
		}
	}
	n := &node{kind: sequence} // filled below: the part may refer to itself
	c.refs[ref] = n
	x1, err := c.schema(target, ref, level+1)
	if err != nil {
		return nil, err
	}
	if x1 == nil || x1 == n {
		return nil, fmt.Errorf("%s/$ref = %.100q: nothing is valid by it", at, ref)
	}
	n.parts = []*node{x1}
	return n, nil
}

// values is a choice of those that the other keywords of the schema allow.
func (c *compiler) values(s []chat.Field, list []any, at string) (*node, error) {
	if len(list) > maxCount {
		return nil, fmt.Errorf("%s: %d values; want at most %d", at, len(list), maxCount)
	}
	for _, f := range s {
		if slices.Contains([]string{"$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"}, f.Name) {
			return nil, fmt.Errorf("%s: %q beside values is not supported", at, f.Name)
		}
	}
	text, err := encode(s)
	if err != nil {
		return nil, err
	}
	check, err := validator(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return c.choose(len(list), func(i int) (*node, error) {
		text, err := encode(list[i])
		if err != nil {
			return nil, err
		}
		if check(text) != nil {
			return nil, nil
		}
		return literal(string(text)), nil
	})
}

// encode writes a value of chat.ParseJSON as compact as models write it.
func encode(x any) ([]byte, error) {
	var b bytes.Buffer
	err := encodeTo(&b, x)
	return b.Bytes(), err
}

func encodeTo(b *bytes.Buffer, x any) error {
	switch x := x.(type) {
	case []chat.Field:
		b.WriteByte('{')
		for i, f := range x {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := encodeTo(b, f.Name); err != nil {
				return err
			}
			b.WriteString(": ")
			if err := encodeTo(b, f.Value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, v := range x {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := encodeTo(b, v); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		if err := e.Encode(x); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // its line end
	}
	return nil
}

// validator checks texts against a schema by a library that reads nothing from elsewhere.
func validator(schema []byte) (func(text []byte) error, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		return nil, err
	}
	return func(text []byte) error {
		x, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		return s.Validate(x)
	}, nil
}

// nowhere is a loader of schemas that loads none.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema at %.100s is not read", url)
}

// typed is the grammar of one type.
func (c *compiler) typed(name string, s []chat.Field, at string, level int) (*node, error) {
	switch name {
	case "null":
		return literal("null"), nil
	case "boolean":
		return any1(literal("true"), literal("false")), nil
	case "number", "integer":
		return c.number(s, name == "integer", at)
	case "string":
		return c.text(s, at)
	case "array":
		return c.array(s, at, level)
	}
	return c.properties(s, at, level)
}

func (c *compiler) number(s []chat.Field, integer bool, at string) (*node, error) {
	var b bounds
	given := false
	for _, k := range []struct {
		name   string
		to     **big.Rat
		strict *bool
		open   bool
		sign   int
	}{
		{"minimum", &b.least, &b.aboveLeast, false, 1}, {"exclusiveMinimum", &b.least, &b.aboveLeast, true, 1},
		{"maximum", &b.most, &b.belowMost, false, -1}, {"exclusiveMaximum", &b.most, &b.belowMost, true, -1},
	} {
		x, ok := field(s, k.name)
		if !ok {
			continue
		}
		r, ok := rat(x)
		if !ok {
			return nil, fmt.Errorf("%s/%s = %.50v is no number that can be held", at, k.name, x)
		}
		given = true
		if *k.to == nil || k.sign*r.Cmp(*k.to) > 0 || r.Cmp(*k.to) == 0 && k.open { // the tighter one counts
			*k.to, *k.strict = r, k.open
		}
	}
	if !given {
		return anyNumber(integer), nil
	}
	n, ok := numbers(b, integer)
	if !ok {
		return nil, fmt.Errorf("%s: bounds with more than 40 digits are not supported", at)
	}
	return n, nil
}

// count is a keyword that counts; preset where it is absent.
func count(s []chat.Field, name string, preset int, at string) (int, error) {
	x, ok := field(s, name)
	if !ok {
		return preset, nil
	}
	r, ok := rat(x)
	if !ok || !r.IsInt() || r.Sign() < 0 || r.Cmp(big.NewRat(maxCount, 1)) > 0 {
		return 0, fmt.Errorf("%s/%s = %.50v; want 0 to %d", at, name, x, maxCount)
	}
	return int(r.Num().Int64()), nil
}

// counted is two keywords that bound a count; most is -1 if nothing does.
func counted(s []chat.Field, low, high, at string) (least, most int, err error) {
	if least, err = count(s, low, 0, at); err != nil {
		return 0, 0, err
	}
	most, err = count(s, high, -1, at)
	return least, most, err
}

func (c *compiler) text(s []chat.Field, at string) (*node, error) {
	least, most, err := counted(s, "minLength", "maxLength", at)
	if err != nil {
		return nil, err
	}
	body := times(character(), least, most)
	if most >= 0 && most < least {
		return nil, nil
	}
	if x, ok := field(s, "pattern"); ok {
		if least > 0 || most >= 0 {
			return nil, fmt.Errorf("%s: \"pattern\" beside a length is not supported", at)
		}
		pattern, ok := x.(string)
		if !ok {
			return nil, fmt.Errorf("%s/pattern is no text", at)
		}
		if body, err = regular(pattern); err != nil {
			return nil, fmt.Errorf("%s/pattern: %w", at, err)
		}
	}
	if c.nodes += least + max(0, most); c.nodes > maxNodes {
		return nil, fmt.Errorf("%s: the schema is too large", at)
	}
	return seq(literal(`"`), body, literal(`"`)), nil
}

func (c *compiler) array(s []chat.Field, at string, level int) (*node, error) {
	least, most, err := counted(s, "minItems", "maxItems", at)
	if err != nil {
		return nil, err
	}
	if c.nodes += least + max(0, most); c.nodes > maxNodes {
		return nil, fmt.Errorf("%s: the schema is too large", at)
	}
	item := c.anything()
	if x, ok := field(s, "items"); ok {
		if item, err = c.schema(x, at+"/items", level+1); err != nil {
			return nil, err
		}
	}
	return list(item, least, most), nil
}

// list is an array; a nil item is one that cannot be.
func list(item *node, least, most int) *node {
	empty := literal("[]")
	switch {
	case most >= 0 && most < least:
		return nil
	case item == nil || most == 0:
		if least > 0 {
			return nil
		}
		return empty
	}
	more := seq(literal(", "), item)
	full := seq(literal("["), item, times(more, max(0, least-1), max(-1, most-1)), literal("]"))
	if least > 0 {
		return full
	}
	return any1(empty, full)
}

// properties is an object with its properties in their order.
func (c *compiler) properties(s []chat.Field, at string, level int) (*node, error) {
	var given []chat.Field
	x, ok := field(s, "properties")
	if ok {
		if given, ok = x.([]chat.Field); !ok {
			return nil, fmt.Errorf("%s/properties is no object", at)
		}
	}
	var required []string
	if x, ok := field(s, "required"); ok {
		list, ok := x.([]any)
		if !ok {
			return nil, fmt.Errorf("%s/required is no array", at)
		}
		for _, v := range list {
			name, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("%s/required holds %.50v, which is no name", at, v)
			}
			required = append(required, name)
		}
	}
	more, ok := field(s, "additionalProperties")
	closed := ok && more == false
	if ok && !closed && more != true {
		return nil, fmt.Errorf("%s/additionalProperties is a schema, which is not supported; want false", at)
	}
	for _, name := range required {
		if _, known := field(given, name); !known {
			if closed {
				return nil, nil
			}
			return nil, fmt.Errorf("%s/required names %.50q, which is none of the properties", at, name)
		}
	}
	if len(given) == 0 {
		if closed {
			return literal("{}"), nil
		}
		return c.anyObject(), nil
	}
	// From the last one on: what follows when some property has been written, and when none has.
	some, none := literal("}"), literal("}")
	for i := len(given) - 1; i >= 0; i-- {
		f := given[i]
		value, err := c.schema(f.Value, at+"/properties/"+f.Name, level+1)
		if err != nil {
			return nil, err
		}
		must := slices.Contains(required, f.Name)
		if value == nil && must {
			return nil, nil
		}
		if value == nil {
			continue
		}
		name, err := encode(f.Name)
		if err != nil {
			return nil, err
		}
		pair := seq(literal(string(name)+": "), value)
		later, first := seq(literal(", "), pair, some), seq(pair, some)
		if must {
			some, none = later, first
		} else {
			some, none = any1(later, some), any1(first, none)
		}
	}
	return seq(literal("{"), none), nil
}

// anything is any value.
func (c *compiler) anything() *node {
	if c.value != nil {
		return c.value
	}
	c.value = &node{kind: choice}
	c.value.parts = []*node{literal("null"), literal("true"), literal("false"), anyNumber(false), seq(literal(`"`), star(character()), literal(`"`)), list(c.value, 0, -1), c.anyObject()}
	return c.value
}

// anyObject is any object.
func (c *compiler) anyObject() *node {
	pair := seq(literal(`"`), star(character()), literal(`": `), c.anything())
	return seq(literal("{"), any1(literal("}"), seq(pair, star(seq(literal(", "), pair)), literal("}"))))
}
