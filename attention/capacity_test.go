package attention_test

import (
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/op"
)

// TestCapacity is the table of the paper (Hu et al. 2024, table 1; specification
// 3.1) and the cost of decoding (specification 3.6), with d = 32, n = 4 heads of width 8, g = 2, m = 6 heads of width C = 12.
func TestCapacity(t *testing.T) {
	const d, n, dh, g, m, C = 32, 4, 8, 2, 6, 12
	for name, c := range map[string]struct {
		attention.Config
		elements                 int
		parameters               float64
		heads, frh, slsd, effect int
		macs                     int // of scores and values, for a token of context
		intensity                float64
	}{
		"mha": {attention.Of(attention.MHA{}, attention.Heads{NHead: n}), 2 * d, 4 * d * d, n, dh, d, n * dh, 2 * n * dh, 2},
		"mqa": {attention.Of(attention.MQA{}, attention.Heads{NHead: n}), 2 * dh, (2 + 2.0/n) * d * d, n, dh, dh, n * dh, 2 * n * dh, 2 * n},
		"gqa": {attention.Of(attention.GQA{}, attention.Heads{NHead: n, NKVHead: g}), 2 * g * dh, (2 + 2.0*g/n) * d * d, n, dh, g * dh, n * dh, 2 * n * dh, 2 * n / g},
		// The table leaves out the projection C x d behind the heads' C x C.
		"mfa": {attention.Of(attention.MFA{Factors: attention.Factors{Output: "shared"}}, attention.Heads{NHead: m, HeadDim: C}), 2 * C, 3*C*d + 2*m*C*C + C*d, m, C, C, m * C, 2 * m * C, 2 * m},
		"mfa, full output": {attention.Of(attention.MFA{Factors: attention.Factors{QRank: 20}}, attention.Heads{NHead: m, HeadDim: C}), 2 * C,
			d*20 + 20*m*C + 2*d*C + m*C*d, m, C, C, m * C, 2 * m * C, 2 * m},
		"mfa_kr": {attention.Of(attention.MFAKR{}, attention.Heads{NHead: m, HeadDim: C}), C, C*d + m*C*C + C*d + C*C + m*C*d, m, C, C, m * C, 2 * m * C, 4 * m},
		"mla": {attention.Of(attention.MLA{KVRank: C, RopeDim: 4, VHeadDim: 7}, attention.Heads{NHead: m, HeadDim: 5}), C + 4,
			d*m*(5+4) + d*(C+4) + C*m*(5+7) + m*7*d, m, 5, C, m * 5, m * (C + 4 + C), 2.0 * m * (C + 4 + C) / (C + 4)},
		"mla, two matrices": {attention.Of(attention.MLA{KVRank: C, RopeDim: 4, QRank: 10}, attention.Heads{NHead: m, HeadDim: 5}), C + 4,
			d*10 + 10*m*(5+4) + d*(C+4) + C*m*(5+5) + m*5*d, m, 5, C, m * 5, m * (C + 4 + C), 2.0 * m * (C + 4 + C) / (C + 4)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.CacheLayout(d).Elements(); got != c.elements {
				t.Errorf("%d elements a token, want %d", got, c.elements)
			}
			if got := c.Parameters(d); got != c.parameters {
				t.Errorf("%g parameters, want %g", got, c.parameters)
			}
			if got := c.Config.Capacity(d); got.Heads != c.heads || got.Rank != c.frh || got.Shared != c.slsd || got.Effective() != c.effect {
				t.Errorf("%+v, effective %d, want %d heads, rank %d, shared %d, effective %d", got, got.Effective(), c.heads, c.frh, c.slsd, c.effect)
			}
			const s = 100
			if got, want := c.DecodeFLOPs(d, s), float64(2*c.macs*s); got != want {
				t.Errorf("%g FLOPs over %d tokens, want %g", got, s, want)
			}
			if got := c.Intensity(d, 1); got != c.intensity {
				t.Errorf("%g FLOPs a byte, want %g", got, c.intensity)
			}
			c.Theta = theta
			store := nn.NewStore(tensor.Float32)
			attention.New(nn.NewBuilder(op.NewTape(tensor.Float32, false), store, nn.Options{}), attention.LayerConfig{Config: c.Config, DModel: d})
			var weights int
			for _, name := range store.Names() {
				if s := store.Shape(name); s.Dims() == 2 {
					weights += s.TotalSize()
				}
			}
			if float64(weights) != c.parameters {
				t.Errorf("the layer has %d weights, want %g", weights, c.parameters)
			}
		})
	}
}

// models are attention layers as deployed.
var (
	step3    = attention.Of(attention.MFA{Factors: attention.Factors{QRank: 2048, InterNorm: true}}, attention.Heads{NHead: 64, HeadDim: 256, Theta: 500_000})
	deepseek = attention.Of(attention.MLA{VHeadDim: 128, KVRank: 512, RopeDim: 64, QRank: 1536}, attention.Heads{NHead: 128, HeadDim: 128})
	qwen3    = attention.Of(attention.GQA{}, attention.Heads{NHead: 64, NKVHead: 4, HeadDim: 128})
)

// TestPublished: sizes and costs of published models (Step-3 report, sections 2
// and 3; specification 3.2 and 3.6).
func TestPublished(t *testing.T) {
	if got := step3.Parameters(7168); got != 169_345_024 {
		t.Errorf("Step-3 has %g attention parameters a layer, want 169.35M", got)
	}
	for name, c := range map[string]struct {
		attention.Config
		dModel, layers    int
		bytes             int // of a token and layer, one an element
		cache, flops, per float64
	}{
		"Step-3":      {step3, 7168, 61, 512, 2.56e8, 3.27e10, 128},
		"DeepSeek-V3": {deepseek, 7168, 61, 576, 2.88e8, 1.39e11, 128 * 2 * (576 + 512) / 576.0},
		"Qwen3-235B":  {qwen3, 4096, 94, 1024, 7.89e8, 2.52e10, 32},
	} {
		near := func(what string, got, want float64) {
			t.Helper()
			if got < want*0.995 || got > want*1.005 {
				t.Errorf("%s: %s %g, want %g", name, what, got, want)
			}
		}
		if got := c.CacheLayout(c.dModel).Elements(); got != c.bytes {
			t.Errorf("%s: %d bytes a token and layer, want %d", name, got, c.bytes)
		}
		near("cache bytes at 8192 tokens", float64(c.layers*c.bytes)*8192, c.cache)
		near("FLOPs at 8192 tokens", float64(c.layers)*c.DecodeFLOPs(c.dModel, 8192), c.flops)
		near("FLOPs a byte", c.Intensity(c.dModel, 1), c.per)
	}
}

// TestSavings: the shares of the cache that the paper reports at 7B (specification
// 3.4 and 3.5), 24 layers of width 2048 in 16 bits.
func TestSavings(t *testing.T) {
	bytes := func(c attention.Config) int { return 24 * c.CacheLayout(2048).Elements() * 2 }
	full := bytes(attention.Of(attention.MHA{}, attention.Heads{NHead: 16}))
	for kind, want := range map[attention.Kind]struct {
		bytes int
		saved float64
	}{attention.MFA{}: {24_576, 0.875}, attention.MFAKR{}: {12_288, 0.9375}} {
		got := bytes(attention.Of(kind, attention.Heads{NHead: 28, HeadDim: 256}))
		if saved := 1 - float64(got)/float64(full); full != 196_608 || got != want.bytes || saved != want.saved {
			t.Errorf("%T: %d bytes of %d, %g saved; want %d and %g", kind, got, full, saved, want.bytes, want.saved)
		}
	}
}
