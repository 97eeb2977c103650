package nn

import (
	"sparrow/configs"
)

// Rule says how linear layers are represented and stored: one [[model.linear]] table.
type Rule struct {
	Match               string `toml:"match" doc:"glob over the names of linear layers; * also matches dots"`
	configs.OneOf[Kind] `doc:"how the layers are represented"`
	Storage
}

// Storage is in how many bits a checkpoint holds a layer's values; such layers do not train.
type Storage struct {
	Quantize   string `toml:"quantize" doc:"type of the stored values, of all kinds but lora; empty: float32" choices:"|int8|int4"`
	Embeddings *bool  `toml:"embeddings" doc:"embeddings whose names match are stored so too, and are float32 in memory; left out: no"`
	QuantBlock int    `toml:"quant_block" doc:"values that share a scale; 0: 64, of a lora layer's base 256" unit:"values"`
}

// Limits of a block: a scale of 4 bytes for fewer values is more than what it saves; and more are no block.
const minBlock, maxBlock = 8, 1 << 16

// Validate reports a pattern that cannot match, and a storage that the kind does not have.
func (c Rule) Validate(r *configs.Report) {
	r.GlobPattern("match", "*.mlp.*")
	r.OneOf("quantize")
	based, ok := c.Of.(Based)
	if ok {
		r.Only("quantize", c.Quantize == "", "kind = \""+c.Name+"\"", "none: its values train and are stored as they are")
	}
	r.Only("embeddings", c.Embeddings == nil || !*c.Embeddings || c.Quantization().Bits > 0, "quantize", "false: there is nothing to store them in")
	switch {
	case c.QuantBlock == 0:
	case c.QuantBlock < minBlock || c.QuantBlock > maxBlock:
		r.Errorf("quant_block", "is out of range; want %d to %d values, or 0 for the default", minBlock, maxBlock)
	case c.Quantization().Bits == 0 && (!ok || based.Base().Bits == 0):
		r.Errorf("quant_block", `is for values in few bits; want quantize, or the base of a lora layer, to be "int8" or "int4"`)
	}
}

// Quantization is how a checkpoint holds the values of such a layer.
func (c Storage) Quantization() Quantization {
	return quantization(c.Quantize, c.QuantBlock, defaultBlock)
}

// Dense tells whether such layers are kept as their weight alone, which trains.
func (c Rule) Dense() bool {
	a := c.Of.Layout(1, 1).Arrays
	return len(a) == 1 && a[0].Name == "weight" && !a[0].Frozen
}

// layout is the kind's with the bits that values are stored in.
func (c Rule) layout(in, out int) Layout {
	l := c.Of.Layout(in, out)
	for i := range l.Arrays {
		switch a := &l.Arrays[i]; {
		case a.Frozen && a.Stored.Bits > 0 && c.QuantBlock > 0:
			a.Stored.Block = c.QuantBlock
		case a.Frozen && a.Stored.Bits > 0 && a.Stored.Block == 0:
			a.Stored.Block = defaultBaseBlock
		case a.Rounds:
			a.Stored = c.Quantization()
		}
	}
	return l
}
