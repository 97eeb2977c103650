// Package onnx writes ONNX files, the Open Neural Network Exchange's graphs of operators with their weights, which onnxruntime runs.
// The numbers of fields are those of onnx.proto (github.com/onnx/onnx, IR version 8). It knows no network.
//
//	var g onnx.Graph
//	g.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float, Shape: []any{"batch", 4}}}
//	g.Tensors = []foreign.Source{{Name: "w", Shape: []int{4, 2}, Type: foreign.F32, Values: weights}}
//	g.Nodes = []onnx.Node{{Op: "MatMul", In: []string{"x", "w"}, Out: []string{"y"}}}
//	g.Outputs = []onnx.Value{{Name: "y", Type: onnx.Float, Shape: []any{"batch", 2}}}
//	err := onnx.WriteFile("model.onnx", g)
package onnx
