package constrain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	return newConstraint(v, root), nil
}

// Between is a constraint of texts that a constraint of the same vocabulary allows, between two others.
func (c *Constraint) Between(before, after string) *Constraint {
	return newConstraint(c.v, seq(literal(before), c.root, literal(after)))
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
		return c.object(x, at, level)
	}
	return nil, fmt.Errorf("%s is no schema; want an object", at)
}

func (c *compiler) object(s []chat.Field, at string, level int) (*node, error) {
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
	return either(parts...), nil
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
	body, err := c.schema(target, ref, level+1)
	if err != nil {
		return nil, err
	}
	if body == nil || body == n {
		return nil, fmt.Errorf("%s/$ref = %.100q: nothing is valid by it", at, ref)
	}
	n.parts = []*node{body}
	return n, nil
}
