package constrain

import (
	"fmt"
	"math/big"
	"slices"

	"sparrow/data/chat"
)

// typed is the grammar of one type.
func (c *compiler) typed(name string, s []chat.Field, at string, level int) (*node, error) {
	switch name {
	case "null":
		return literal("null"), nil
	case "boolean":
		return either(literal("true"), literal("false")), nil
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
	return either(empty, full)
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
			some, none = either(later, some), either(first, none)
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
	return seq(literal("{"), either(literal("}"), seq(pair, star(seq(literal(", "), pair)), literal("}"))))
}
