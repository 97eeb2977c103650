package compress

import (
	"context"
	"fmt"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/nn"
)

// QuantizeConfig is the [compress.quantize] table: what every layer of the budget becomes is stored in few bits, those that
// stay dense too. See kernel.Quantized.
type QuantizeConfig struct {
	Bits  int `toml:"bits" doc:"of a value: 8 | 4"`
	Block int `toml:"block" doc:"values that share a scale of 4 bytes"`
}

// SetDefaults implements configs.Defaulter.
func (c *QuantizeConfig) SetDefaults() { c.Bits, c.Block = 8, 64 }

// Validate reports bits that there are not and blocks that are none.
func (c QuantizeConfig) Validate(r *configs.Report) {
	r.Within("bits", c.Bits == 8 || c.Bits == 4, "8 or 4")
	r.Within("block", c.Block >= 8 && c.Block <= 1<<16, "8 to 65536 values")
}

// storage is what the table asks for; none: float32.
func (c *QuantizeConfig) storage() Storage {
	if c == nil {
		return Storage{}
	}
	return Storage{fmt.Sprintf("int%d", c.Bits), c.Block}
}

// Quantize leaves layers dense, which [compress.quantize] then stores in few bits; without that table it offers 4 bits, 8
// bits and float32, so that the budget decides over each layer's bits.
type Quantize struct{}

func newQuantize(Settings) Method { return Quantize{} }

// Needs implements Method.
func (Quantize) Needs() Needs { return Needs{} }

// Decided implements Decided: a layer whose bits are told has no other.
func (Quantize) Decided(t Target) bool { return t.Storage != (Storage{}) }

// Options implements Method.
func (Quantize) Options(_ context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	if t.Storage != (Storage{}) {
		return nil, nil, nil
	}
	var out []Option
	for _, bits := range []int{4, 8} {
		var c QuantizeConfig
		c.SetDefaults()
		c.Bits = bits
		o := Option{Method: stays, Storage: c.storage()}
		var err error
		if o.Loss, err = roundedLoss(t, s, DenseForm(t), o); err != nil {
			return nil, nil, err
		}
		out = append(out, o)
	}
	return out, nil, nil
}

// Linear implements Method.
func (Quantize) Linear(Target, Option) (nn.Rule, error) {
	return nn.Rule{OneOf: nn.As(nn.Dense{})}, nil
}

// Apply implements Method.
func (Quantize) Apply(_ context.Context, t Target, _ *Statistics, _ Option) (*Form, error) {
	return DenseForm(t), nil
}
