package interchange

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/onnx"
	"sparrow/model/encoder"
	"sparrow/model/vit"
)

// Shapes: B texts, T tokens each, D model width, H heads, K head width, V vocabulary, C classes.

// exportONNX writes a folder as optimum lays it out: model.onnx beside config and tokenizer. Texts and their length are free; what
// pads a text stands behind it.
func (c Checkpoint) exportONNX(path string) error {
	var graph onnx.Graph
	switch body := c.Network.Body().(type) {
	case encoder.Config:
		graph = c.textGraph(body)
	case vit.Body:
		graph = c.imageGraph(body)
	default:
		return fmt.Errorf("%w: ONNX files are written of encoders of texts and of kind = \"vit\", not of kind = %q", ErrExport, c.Network.Name)
	}
	return c.exportFolder(path, "model.onnx", func(file string, _ *Model) error { return onnx.WriteFile(file, graph) })
}

// textGraph is an encoder of texts with its head.
func (c Checkpoint) textGraph(body encoder.Config) onnx.Graph {
	b := &onnxBuilder{c: c, body: body, eps: body.NormEps}
	inputs := []string{"input_ids", "attention_mask"}
	if body.Types() > 1 {
		inputs = append(inputs, "token_type_ids")
	}
	for _, name := range inputs {
		b.Inputs = append(b.Inputs, onnx.Value{Name: name, Type: onnx.Int64, Shape: []any{"batch", "sequence"}})
	}
	b.Name = c.Network.Name
	x := b.hidden() // [B, T, D]
	switch {
	case body.Sentence != nil:
		b.output("last_hidden_state", x, "batch", "sequence", body.DModel)
		b.output("sentence_embedding", b.pooled(x), "batch", body.DModel)
	case c.Dims.Outputs() > 0:
		first := b.node("Gather", []string{x, b.ints("first", []int{}, 0)}, onnx.Attribute{Name: "axis", Value: 1}) // [B, D]
		activation := "tanh"
		if body.Pooler != nil {
			activation = *body.Pooler
		}
		y := b.activation(activation, b.linear("bert.pooler.dense", first))
		b.output("logits", b.linear("classifier", y), "batch", c.Dims.Outputs())
	default:
		y := b.activation(body.MLP, b.linear("cls.predictions.transform.dense", x))
		y = b.norm("cls.predictions.transform.LayerNorm", y)
		scores := b.node("MatMul", []string{y, b.node("Transpose", []string{b.weight(body.WordEmbedding())}, onnx.Attribute{Name: "perm", Value: []int{1, 0}})})
		y = b.node("Add", []string{scores, b.weight("cls.predictions.bias")})
		b.output("logits", y, "batch", "sequence", c.Shape(body.WordEmbedding())[0])
	}
	return b.Graph
}

// onnxBuilder is a graph under construction.
type onnxBuilder struct {
	onnx.Graph
	c    Checkpoint
	body encoder.Config  // of texts
	eps  float64         // of norms
	made map[string]bool // tensors that the graph has
}

// node adds an operator with one result and names it.
func (b *onnxBuilder) node(op string, in []string, attributes ...onnx.Attribute) string {
	out := fmt.Sprintf("%s_%d", op, len(b.Nodes))
	b.Nodes = append(b.Nodes, onnx.Node{Op: op, In: in, Out: []string{out}, Attributes: attributes})
	return out
}

// output makes a result one of the graph.
func (b *onnxBuilder) output(name, x string, shape ...any) {
	b.Nodes = append(b.Nodes, onnx.Node{Op: "Identity", In: []string{x}, Out: []string{name}})
	b.Outputs = append(b.Outputs, onnx.Value{Name: name, Type: onnx.Float, Shape: shape})
}

// tensor adds a tensor once.
func (b *onnxBuilder) tensor(s foreign.Source) string {
	if b.made == nil {
		b.made = map[string]bool{}
	}
	if !b.made[s.Name] {
		b.made[s.Name] = true
		b.Tensors = append(b.Tensors, s)
	}
	return s.Name
}

// weight is an array of the checkpoint.
func (b *onnxBuilder) weight(name string) string {
	return b.tensor(foreign.Source{Name: name, Shape: b.c.Shape(name), Type: foreign.F32, Values: func() ([]float32, error) { return b.c.Values(name), nil }})
}

// ints is a constant of whole numbers; of the shape [] one of them.
func (b *onnxBuilder) ints(name string, shape []int, values ...int) string {
	return b.tensor(foreign.Source{Name: "constant." + name, Shape: shape, Type: foreign.I64, Raw: func() (raw []byte, err error) {
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		return raw, nil
	}})
}

// number is a constant.
func (b *onnxBuilder) number(name string, x float64) string {
	return b.tensor(foreign.Source{Name: "constant." + name, Shape: []int{}, Type: foreign.F32, Values: func() ([]float32, error) { return []float32{float32(x)}, nil }})
}

// linear is x Wᵀ + b, with W transposed as MatMul takes it, and b if there is one.
func (b *onnxBuilder) linear(name, x string) string {
	weight := name + ".weight"
	shape := slices.Clone(b.c.Shape(weight))
	slices.Reverse(shape)
	w := b.tensor(foreign.Source{Name: weight + ".transposed", Shape: shape, Type: foreign.F32, Values: func() ([]float32, error) {
		values := b.c.Values(weight)
		out := make([]float32, len(values))
		for i := range shape[0] {
			for j := range shape[1] {
				out[i*shape[1]+j] = values[j*shape[0]+i]
			}
		}
		return out, nil
	}})
	y := b.node("MatMul", []string{x, w})
	if b.c.Shape(name+".bias") == nil {
		return y
	}
	return b.node("Add", []string{y, b.weight(name + ".bias")})
}

func (b *onnxBuilder) norm(name, x string) string {
	return b.node("LayerNormalization", []string{x, b.weight(name + ".weight"), b.weight(name + ".bias")},
		onnx.Attribute{Name: "axis", Value: -1}, onnx.Attribute{Name: "epsilon", Value: float32(b.eps)})
}

// activation is one of op.Activation's, or tanh.
func (b *onnxBuilder) activation(kind, x string) string {
	half := func(y string) string { // 0.5 x (1 + y)
		y = b.node("Add", []string{y, b.number("one", 1)})
		return b.node("Mul", []string{b.node("Mul", []string{x, y}), b.number("half", 0.5)})
	}
	switch kind {
	case "tanh":
		return b.node("Tanh", []string{x})
	case "relu":
		return b.node("Relu", []string{x})
	case "silu":
		return b.node("Mul", []string{x, b.node("Sigmoid", []string{x})})
	case "gelu":
		return half(b.node("Erf", []string{b.node("Div", []string{x, b.number("root2", math.Sqrt2)})}))
	case "gelu_tanh":
		cube := b.node("Mul", []string{b.node("Mul", []string{x, x}), x})
		y := b.node("Add", []string{x, b.node("Mul", []string{cube, b.number("cubic", 0.044715)})})
		return half(b.node("Tanh", []string{b.node("Mul", []string{y, b.number("steepness", math.Sqrt(2/math.Pi))})}))
	}
	panic("interchange: no activation " + kind) // impossible: the config is validated
}

// hidden are the states [B, T, D].
func (b *onnxBuilder) hidden() string {
	length := b.node("Shape", []string{"input_ids"}, onnx.Attribute{Name: "start", Value: 1}, onnx.Attribute{Name: "end", Value: 2})
	zero := b.ints("zero", []int{1}, 0)
	places := b.node("Slice", []string{b.weight("bert.embeddings.position_embeddings.weight"), zero, length, zero}) // [T, D]
	x := b.node("Add", []string{b.node("Gather", []string{b.weight(b.body.WordEmbedding()), "input_ids"}), places})
	const types = "bert.embeddings.token_type_embeddings.weight"
	switch n := b.body.Types(); {
	case n == 1:
		x = b.node("Add", []string{x, b.weight(types)})
	case n > 1:
		x = b.node("Add", []string{x, b.node("Gather", []string{b.weight(types), "token_type_ids"})})
	}
	x = b.norm("bert.embeddings.LayerNorm", x)
	hides := b.node("Sub", []string{b.number("one", 1), b.mask()})
	hides = b.node("Mul", []string{hides, b.number("least", -math.MaxFloat32)})
	hides = b.node("Unsqueeze", []string{hides, b.ints("axes", []int{2}, 1, 2)}) // [B, 1, 1, T]
	for i := range b.body.NLayer {
		layer := fmt.Sprintf("bert.encoder.layer.%d.", i)
		self, a := layer+"attention.self.", b.body.Attention
		y := b.attention([3]string{self + "query", self + "key", self + "value"}, x, hides, a.NHead, a.Dim(b.body.DModel))
		y = b.linear(layer+"attention.output.dense", y)
		x = b.norm(layer+"attention.output.LayerNorm", b.node("Add", []string{x, y}))
		y = b.activation(b.body.MLP, b.linear(layer+"intermediate.dense", x))
		x = b.norm(layer+"output.LayerNorm", b.node("Add", []string{x, b.linear(layer+"output.dense", y)}))
	}
	return x
}

// mask is 1 at tokens and 0 behind them, [B, T].
func (b *onnxBuilder) mask() string {
	return b.node("Cast", []string{"attention_mask"}, onnx.Attribute{Name: "to", Value: int(onnx.Float)})
}

// attention maps x [B, T, D] to [B, T, H*K] by the layers of queries, keys and values; hides, if not "", is added to the scores.
func (b *onnxBuilder) attention(layers [3]string, x, hides string, n, k int) string {
	split := b.ints("heads", []int{4}, 0, 0, n, k)
	heads := func(layer string, order ...int) string {
		y := b.node("Reshape", []string{b.linear(layer, x), split}) // [B, T, H, K]
		return b.node("Transpose", []string{y}, onnx.Attribute{Name: "perm", Value: order})
	}
	q, keys, v := heads(layers[0], 0, 2, 1, 3), heads(layers[1], 0, 2, 3, 1), heads(layers[2], 0, 2, 1, 3) // [B, H, T, K], [B, H, K, T], [B, H, T, K]
	scores := b.node("Div", []string{b.node("MatMul", []string{q, keys}), b.number("scale", math.Sqrt(float64(k)))})
	if hides != "" {
		scores = b.node("Add", []string{scores, hides})
	}
	scores = b.node("Softmax", []string{scores}, onnx.Attribute{Name: "axis", Value: -1})
	y := b.node("Transpose", []string{b.node("MatMul", []string{scores, v})}, onnx.Attribute{Name: "perm", Value: []int{0, 2, 1, 3}}) // [B, T, H, K]
	return b.node("Reshape", []string{y, b.ints("width", []int{3}, 0, 0, n*k)})
}

// imageGraph is a vision transformer with its head, over pixel_values [B, C, H, W] that are normalised.
func (c Checkpoint) imageGraph(body vit.Body) onnx.Graph {
	b := &onnxBuilder{c: c, eps: body.NormEps}
	side := c.Dims.ImageSize
	b.Name, b.Inputs = c.Network.Name, []onnx.Value{{Name: "pixel_values", Type: onnx.Float, Shape: []any{"batch", c.Dims.Channels, side, side}}}
	const embed, projection = "vit.embeddings.", "vit.embeddings.patch_embeddings.projection"
	x := b.node("Conv", []string{"pixel_values", b.weight(projection + ".weight"), b.weight(projection + ".bias")}, onnx.Attribute{Name: "strides", Value: []int{body.Patch, body.Patch}})
	x = b.node("Reshape", []string{x, b.ints("patches", []int{3}, 0, body.DModel, -1)})
	x = b.node("Transpose", []string{x}, onnx.Attribute{Name: "perm", Value: []int{0, 2, 1}}) // [B, N, D]
	batch := b.node("Shape", []string{"pixel_values"}, onnx.Attribute{Name: "start", Value: 0}, onnx.Attribute{Name: "end", Value: 1})
	one := b.node("Concat", []string{batch, b.ints("token", []int{2}, 1, body.DModel)}, onnx.Attribute{Name: "axis", Value: 0})
	class := b.node("Expand", []string{b.weight(embed + "cls_token"), one}) // [B, 1, D]
	x = b.node("Add", []string{b.node("Concat", []string{class, x}, onnx.Attribute{Name: "axis", Value: 1}), b.weight(embed + "position_embeddings")})
	for i := range body.NLayer {
		layer := fmt.Sprintf("vit.encoder.layer.%d.", i)
		self := layer + "attention."
		y := b.attention([3]string{self + "q_proj", self + "k_proj", self + "v_proj"}, b.norm(layer+"layernorm_before", x), "", body.Attention.NHead, body.Attention.Dim(body.DModel))
		x = b.node("Add", []string{x, b.linear(self+"o_proj", y)})
		y = b.activation(body.MLP, b.linear(layer+"intermediate.dense", b.norm(layer+"layernorm_after", x)))
		x = b.node("Add", []string{x, b.linear(layer+"output.dense", y)})
	}
	x = b.node("Gather", []string{x, b.ints("first", []int{}, 0)}, onnx.Attribute{Name: "axis", Value: 1}) // [B, D]
	b.output("logits", b.linear("classifier", b.norm("vit.layernorm", x)), "batch", c.Dims.Classes)
	return b.Graph
}

// pooled makes the vector of a text, [B, D], of states [B, T, D].
func (b *onnxBuilder) pooled(x string) string {
	s := b.body.Sentence
	y := ""
	if s.Pooling == "cls" {
		y = b.node("Gather", []string{x, b.ints("first", []int{}, 0)}, onnx.Attribute{Name: "axis", Value: 1})
	} else {
		shares := b.node("Unsqueeze", []string{b.mask(), b.ints("last", []int{1}, -1)}) // [B, T, 1]
		axis, flat := b.ints("tokens", []int{1}, 1), onnx.Attribute{Name: "keepdims", Value: 0}
		y = b.node("ReduceSum", []string{b.node("Mul", []string{x, shares}), axis}, flat)
		count := b.node("ReduceSum", []string{shares, axis}, flat) // [B, 1]
		if s.Pooling == "mean_sqrt" {
			count = b.node("Sqrt", []string{count})
		}
		y = b.node("Div", []string{y, count})
	}
	if !s.Normalize {
		return y
	}
	length := b.node("ReduceL2", []string{y}, onnx.Attribute{Name: "axes", Value: []int{-1}}, onnx.Attribute{Name: "keepdims", Value: 1})
	return b.node("Div", []string{y, b.node("Max", []string{length, b.number("shortest", 1e-12)})})
}
