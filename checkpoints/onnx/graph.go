package onnx

import (
	"fmt"

	"sparrow/checkpoints/foreign"
)

// Opset is the version of the operators, the first with layer norms.
const Opset = 17

// irVersion is that of the format, which runtimes of 2022 and later read.
const irVersion = 8

// Type is the type of a tensor's elements.
type Type int

// Types of tensors, by their numbers.
const (
	Float Type = 1
	Int64 Type = 7
	Bool  Type = 9
)

// Graph is a network: nodes in an order in which they can be computed.
type Graph struct {
	Name            string
	Nodes           []Node
	Inputs, Outputs []Value
	Tensors         []foreign.Source // weights and constants, of type F32 or I64
}

// Node is an operator with its operands and results, by name; "" is an operand left out.
type Node struct {
	Op         string
	In, Out    []string
	Attributes []Attribute
}

// Attribute is an int, a float32 or a []int.
type Attribute struct {
	Name  string
	Value any
}

// Value is an input or output. A dimension is an int, or the name of one that is known when the graph runs.
type Value struct {
	Name  string
	Type  Type
	Shape []any
}

// Check reports a graph that no runtime takes: names that stand for two values, operands that nothing has computed, attributes and
// dimensions of other types.
func (g Graph) Check() error {
	known := map[string]bool{}
	add := func(name string) error {
		if name == "" || known[name] {
			return fmt.Errorf("onnx: two values have the name %q", name)
		}
		known[name] = true
		return nil
	}
	for _, v := range append(append([]Value(nil), g.Inputs...), g.Outputs...) {
		for _, d := range v.Shape {
			switch d.(type) {
			case int, string:
			default:
				return fmt.Errorf("onnx: value %q has the dimension %v; want an int or a name", v.Name, d)
			}
		}
	}
	for _, v := range g.Inputs {
		if err := add(v.Name); err != nil {
			return err
		}
	}
	for _, t := range g.Tensors {
		if err := add(t.Name); err != nil {
			return err
		}
		if t.Type != foreign.F32 && t.Type != foreign.I64 {
			return fmt.Errorf("onnx: tensor %q has type %s; want F32 or I64", t.Name, t.Type.Name)
		}
	}
	for _, n := range g.Nodes {
		for _, in := range n.In {
			if in != "" && !known[in] {
				return fmt.Errorf("onnx: %s wants %q, which nothing before it computes", n.Op, in)
			}
		}
		for _, out := range n.Out {
			if err := add(out); err != nil {
				return err
			}
		}
		for _, a := range n.Attributes {
			switch a.Value.(type) {
			case int, float32, []int:
			default:
				return fmt.Errorf("onnx: attribute %s of %s is a %T", a.Name, n.Op, a.Value)
			}
		}
	}
	for _, v := range g.Outputs {
		if !known[v.Name] {
			return fmt.Errorf("onnx: output %q is not computed", v.Name)
		}
	}
	return nil
}
