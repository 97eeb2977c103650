package constrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sparrow/data/chat"
)

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
