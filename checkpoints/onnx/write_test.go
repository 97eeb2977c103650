package onnx_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/onnx"
)

// graph is y = x W, then y + 2, with every kind of attribute.
func graph() onnx.Graph {
	return onnx.Graph{
		Name:   "small",
		Inputs: []onnx.Value{{Name: "x", Type: onnx.Float, Shape: []any{"batch", 2}}},
		Tensors: []foreign.Source{
			{Name: "w", Shape: []int{2, 1}, Type: foreign.F32, Values: func() ([]float32, error) { return []float32{3, 4}, nil }},
			{Name: "n", Shape: []int{1}, Type: foreign.I64, Raw: func() ([]byte, error) { return binary.LittleEndian.AppendUint64(nil, 7), nil }},
		},
		Nodes: []onnx.Node{
			{Op: "MatMul", In: []string{"x", "w"}, Out: []string{"y"}},
			{Op: "Odd", In: []string{"y", "", "n"}, Out: []string{"z"}, Attributes: []onnx.Attribute{{"axis", -1}, {"perm", []int{1, 0}}, {"epsilon", float32(0.5)}}},
		},
		Outputs: []onnx.Value{{Name: "z", Type: onnx.Float, Shape: []any{"batch", 1}}},
	}
}

// field is what a message has under a number, in order.
type field struct {
	number protowire.Number
	value  uint64 // of a number
	inside []byte // of a message or text
}

func fields(t *testing.T, b []byte) (all []field) {
	t.Helper()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		f, b2 := field{number: number}, b[n:]
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b2)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b2)
			f.value = uint64(v)
		default:
			f.inside, n = protowire.ConsumeBytes(b2)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		all, b = append(all, f), b2[n:]
	}
	return all
}

// pick is the i-th field of a number.
func pick(t *testing.T, all []field, number protowire.Number, i int) field {
	t.Helper()
	for _, f := range all {
		if f.number == number {
			if i == 0 {
				return f
			}
			i--
		}
	}
	t.Fatalf("no field %d", number)
	return field{}
}

// TestWrite: a file has the fields that onnx.proto numbers.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := onnx.Write(&b, graph()); err != nil {
		t.Fatal(err)
	}
	model := fields(t, b.Bytes())
	opset := fields(t, pick(t, model, 8, 0).inside)
	if v := pick(t, model, 1, 0).value; v != 8 || pick(t, opset, 2, 0).value != onnx.Opset || len(pick(t, opset, 1, 0).inside) != 0 {
		t.Errorf("version %d, operators %v", v, opset)
	}
	g := fields(t, pick(t, model, 7, 0).inside)
	for i, want := range []string{"MatMul", "Odd"} {
		if op := string(pick(t, fields(t, pick(t, g, 1, i).inside), 4, 0).inside); op != want {
			t.Errorf("node %d is %q, want %q", i, op, want)
		}
	}
	odd := fields(t, pick(t, g, 1, 1).inside)
	if in := string(pick(t, odd, 1, 1).inside); in != "" || string(pick(t, odd, 1, 2).inside) != "n" {
		t.Errorf("operands of the second node: %v", odd)
	}
	axis, perm, epsilon := fields(t, pick(t, odd, 5, 0).inside), fields(t, pick(t, odd, 5, 1).inside), fields(t, pick(t, odd, 5, 2).inside)
	if int64(pick(t, axis, 3, 0).value) != -1 || pick(t, axis, 20, 0).value != 2 {
		t.Errorf("axis is %v", axis)
	}
	if pick(t, perm, 8, 0).value != 1 || pick(t, perm, 8, 1).value != 0 || pick(t, perm, 20, 0).value != 7 {
		t.Errorf("perm is %v", perm)
	}
	if math.Float32frombits(uint32(pick(t, epsilon, 2, 0).value)) != 0.5 || pick(t, epsilon, 20, 0).value != 1 {
		t.Errorf("epsilon is %v", epsilon)
	}
	w := fields(t, pick(t, g, 5, 0).inside)
	if raw := pick(t, w, 9, 0).inside; pick(t, w, 1, 0).value != 2 || pick(t, w, 1, 1).value != 1 || pick(t, w, 2, 0).value != 1 || string(pick(t, w, 8, 0).inside) != "w" ||
		!bytes.Equal(raw, []byte{0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40}) {
		t.Errorf("w is %v", w)
	}
	if n := fields(t, pick(t, g, 5, 1).inside); pick(t, n, 2, 0).value != 7 || pick(t, n, 9, 0).inside[0] != 7 {
		t.Errorf("n is %v", n)
	}
	for i, number := range []protowire.Number{11, 12} {
		v := fields(t, pick(t, g, number, 0).inside)
		tensor := fields(t, pick(t, fields(t, pick(t, v, 2, 0).inside), 1, 0).inside)
		shape := fields(t, pick(t, tensor, 2, 0).inside)
		free, fixed := fields(t, pick(t, shape, 1, 0).inside), fields(t, pick(t, shape, 1, 1).inside)
		if string(pick(t, free, 2, 0).inside) != "batch" || pick(t, fixed, 1, 0).value != uint64(2-i) || pick(t, tensor, 1, 0).value != 1 {
			t.Errorf("value %d is %v", number, v)
		}
	}
}

// TestCheck: what no runtime takes is refused before a byte is written.
func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*onnx.Graph){
		"which nothing before it computes": func(g *onnx.Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] },
		`have the name "w"`:                func(g *onnx.Graph) { g.Nodes[0].Out[0] = "w" },
		`have the name ""`:                 func(g *onnx.Graph) { g.Nodes[0].Out[0] = "" },
		`have the name "x"`:                func(g *onnx.Graph) { g.Inputs = append(g.Inputs, g.Inputs[0]) },
		"want F32 or I64":                  func(g *onnx.Graph) { g.Tensors[0].Type = foreign.F16 },
		"attribute axis of Odd is a bool":  func(g *onnx.Graph) { g.Nodes[1].Attributes[0].Value = true },
		`output "q" is not computed`:       func(g *onnx.Graph) { g.Outputs[0].Name = "q" },
		"has the dimension 1.5":            func(g *onnx.Graph) { g.Inputs[0].Shape[1] = 1.5 },
		"the format allows 2147483647":     func(g *onnx.Graph) { g.Tensors[0].Shape = []int{1 << 20, 1 << 10} },
		"has 2 values; want 3":             func(g *onnx.Graph) { g.Tensors[0].Shape = []int{3} },
	} {
		g := graph()
		change(&g)
		var b bytes.Buffer
		if err := onnx.Write(&b, g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
