package onnx

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
)

// maxBytes is the most that a file of protocol buffers may have.
const maxBytes = math.MaxInt32

// WriteFile writes a graph at path, completely or not at all. The values of one tensor at a time are asked for.
func WriteFile(path string, g Graph) error {
	return checkpoints.StreamFileAtomic(path, func(w io.Writer) error { return Write(w, g) })
}

// Write is [WriteFile] for any writer.
func Write(w io.Writer, g Graph) error {
	if err := g.Check(); err != nil {
		return err
	}
	// A message is preceded by its length, so that the graph's parts are made before, but for the tensors' values.
	var nodes, ends []byte
	for _, n := range g.Nodes {
		nodes = message(nodes, 1, n.encode())
	}
	nodes = text(nodes, 2, g.Name)
	for _, v := range g.Inputs {
		ends = message(ends, 11, v.encode())
	}
	for _, v := range g.Outputs {
		ends = message(ends, 12, v.encode())
	}
	size := len(nodes) + len(ends)
	heads := make([][]byte, len(g.Tensors))
	for i, t := range g.Tensors {
		head, bytes, err := tensorHead(t)
		if err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
		heads[i], size = head, size+len(head)+bytes
	}
	opset := number(text(nil, 1, ""), 2, Opset)
	model := message(text(number(nil, 1, irVersion), 2, "sparrow"), 8, opset)
	model = protowire.AppendVarint(protowire.AppendTag(model, 7, protowire.BytesType), uint64(size))
	if size+len(model) > maxBytes {
		return fmt.Errorf("onnx: the model takes %d bytes; the format allows %d", size+len(model), maxBytes)
	}
	for _, part := range [][]byte{model, nodes} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	for i, t := range g.Tensors {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		if _, err := t.WriteTo(w); err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
	}
	_, err := w.Write(ends)
	return err
}

// tensorHead is the message of a tensor up to its values, of which it says how many bytes they take.
func tensorHead(t foreign.Source) (head []byte, bytes int, err error) {
	if bytes, err = t.Check(); err != nil {
		return nil, 0, err
	}
	kind := Float
	if t.Type == foreign.I64 {
		kind = Int64
	}
	var inside []byte
	for _, n := range t.Shape {
		inside = number(inside, 1, n)
	}
	inside = text(number(inside, 2, int(kind)), 8, t.Name)
	inside = protowire.AppendVarint(protowire.AppendTag(inside, 9, protowire.BytesType), uint64(bytes))
	head = protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.BytesType), uint64(len(inside)+bytes))
	return append(head, inside...), bytes, nil
}

// encode is the message NodeProto.
func (n Node) encode() (b []byte) {
	for _, in := range n.In {
		b = text(b, 1, in)
	}
	for _, out := range n.Out {
		b = text(b, 2, out)
	}
	b = text(b, 4, n.Op)
	for _, a := range n.Attributes {
		b = message(b, 5, a.encode())
	}
	return b
}

// encode is the message AttributeProto.
func (a Attribute) encode() []byte {
	b := text(nil, 1, a.Name)
	switch v := a.Value.(type) {
	case float32:
		b = protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(v))
		b = number(b, 20, 1)
	case int:
		b = number(number(b, 3, v), 20, 2)
	case []int:
		for _, n := range v {
			b = number(b, 8, n)
		}
		b = number(b, 20, 7)
	}
	return b
}

// encode is the message ValueInfoProto.
func (v Value) encode() []byte {
	var shape []byte
	for _, d := range v.Shape {
		if n, ok := d.(int); ok {
			shape = message(shape, 1, number(nil, 1, n))
		} else {
			shape = message(shape, 1, text(nil, 2, d.(string)))
		}
	}
	tensor := message(number(nil, 1, int(v.Type)), 2, shape)
	return message(text(nil, 1, v.Name), 2, message(nil, 1, tensor))
}

func number(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func message(b []byte, field protowire.Number, inside []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), inside)
}
