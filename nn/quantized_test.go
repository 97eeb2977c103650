package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/op"
)

// TestQuantizeConfig: which tables may ask for few bits, in one line each.
func TestQuantizeConfig(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{`kind="dense",quantize="int8"`, ""},
		{`kind="low_rank",rank=3,quantize="int4",quant_block=32`, ""},
		{`kind="sltrain",rank=3,density=0.1,quantize="int8"`, ""},
		{`kind="dense_sparse",quantize="int4"`, ""},
		{`kind="lora",rank=3,base="int4"`, ""},
		{`kind="lora",rank=3,base="int8",quant_block=64`, ""},
		{`kind="dense",quantize="int2"`, `quantize = "int2" is unknown; want one of int8, int4`},
		{`kind="dense",quantize="int8",quant_block=4`, "quant_block = 4 is out of range; want 8 to 65536 values"},
		{`kind="dense",quantize="int8",quant_block=-1`, "quant_block = -1 is out of range"},
		{`kind="dense",quant_block=64`, `quant_block = 64 is for values in few bits`},
		{`kind="lora",rank=3,base="float32",quant_block=64`, `quant_block = 64 is for values in few bits`},
		{`kind="lora",rank=3,quantize="int8"`, `quantize = "int8" is not for kind = "lora"; want none`},
	} {
		var cfg struct {
			Linear []nn.Rule `toml:"linear"`
		}
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: shipped(), Set: []string{`linear=[{match="*",` + tc.set + "}]"}})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("{%s}: %v; want %q", tc.set, err, tc.want)
		}
	}
}

// quantizedKinds are layers [19, 24] of every kind that a checkpoint can hold in few bits, with the sizes of the arrays that
// are, and the bytes of all others but the bias.
var quantizedKinds = []struct {
	cfg    nn.Rule
	arrays map[string]int
	other  int
}{
	{nn.Rule{OneOf: nn.As(nn.Dense{})}, map[string]int{"layer.weight": 19 * 24}, 0},
	{nn.Rule{OneOf: nn.As(nn.LowRank{Rank: 5})}, map[string]int{"layer.down.weight": 5 * 24, "layer.up.weight": 19 * 5}, 0},
	{nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 5, Density: 0.1, UpInit: "uniform"})},
		map[string]int{"layer.down.weight": 5 * 24, "layer.up.weight": 19 * 5, "layer.sparse.values": 45}, 4 * 45},
	{nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 5, Density: 0.1, UpInit: "uniform", TrainScale: true})},
		map[string]int{"layer.down.weight": 5 * 24, "layer.up.weight": 19 * 5, "layer.sparse.values": 45}, 4*45 + 4},
	{nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 12, Nonzeros: []int{3}})},
		map[string]int{"layer.dictionary.weight": 3 * 12 * 8, "layer.sparse.values": 3 * 3 * 19}, 3 * 29}, // ceil(57 indices of 4 bits) a block
}

// TestQuantizedLayers: of every kind just the values that make the weight are stored in few bits, in as many bytes as counted;
// what comes back is within half a step, and is stored as the same codes again.
func TestQuantizedLayers(t *testing.T) {
	for _, kind := range quantizedKinds {
		for _, bits := range []int{8, 4} {
			for _, block := range []int{0, 24} {
				cfg := kind.cfg
				cfg.Quantize, cfg.QuantBlock = fmt.Sprintf("int%d", bits), block
				t.Run(fmt.Sprintf("%s %v %s block %d", cfg.Name, cfg.Of, cfg.Quantize, block), func(t *testing.T) {
					store := factored(cfg, 3, tensor.Float32, 24, 19, true)
					wide := max(block, 24)
					if block == 0 {
						wide = 64
					}
					bytes := kind.other
					for _, name := range store.Names() {
						n, few := kind.arrays[name]
						if q := store.Quantization(name); few != (q.Bits == bits) || few && q.Block != wide {
							t.Errorf("%s is stored as %s in blocks of %d", name, q.Name(), q.Block)
						}
						if !few {
							continue
						}
						bytes += (n*bits+7)/8 + 4*((n+wide-1)/wide)
						w := store.Get(name).Float32s()
						before, codes := slices.Clone(w), store.Codes(name)
						if err := store.Quantization(name).Round(w); err != nil {
							t.Fatal(err)
						}
						top := float64(int(1)<<(bits-1) - 1)
						for i := range w {
							if a := float64(codes.AbsMax[i/wide]); math.Abs(float64(w[i]-before[i])) > a/(2*top)*1.00001 {
								t.Fatalf("%s[%d] = %g comes back as %g, more than %g off", name, i, before[i], w[i], a/(2*top))
							}
						}
						if again := store.Codes(name); !slices.Equal(again.Codes, codes.Codes) || !slices.Equal(again.AbsMax, codes.AbsMax) {
							t.Errorf("%s: stored again it has other codes", name)
						}
					}
					l := store.Layer("layer")
					if got := l.StoredBytes(store.Dtype); got != bytes || store.StoredBytes() != bytes+4*19 {
						t.Errorf("the layer is stored in %d bytes and all in %d, want %d and %d", got, store.StoredBytes(), bytes, bytes+4*19)
					}
					plain := cfg
					plain.Quantize, plain.QuantBlock = "", 0
					if got, want := l.Parameters(), factored(plain, 3, tensor.Float32, 24, 19, true).Layer("layer").Parameters(); got != want {
						t.Errorf("%d parameters, want %d as in float32", got, want)
					}
					if name, ok := store.Quantized(); !ok || name != "layer" {
						t.Errorf("the first quantized layer is %q (%v)", name, ok)
					}
					if d := store.Dense(); d.Quantization("layer.weight").Bits != 0 || d.StoredBytes() != 4*(19*24+19) {
						t.Error("folded, the layer is still in few bits")
					}
				})
			}
		}
	}
}

// TestRoundRefuses: values that are no numbers cannot be stored in few bits, and stay as they are.
func TestRoundRefuses(t *testing.T) {
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		w := []float32{1, x, 0.3}
		err := nn.Quantization{Bits: 4, Block: 64}.Round(w)
		if err == nil || !strings.Contains(err.Error(), "int4 are not all finite numbers") || w[2] != 0.3 {
			t.Errorf("%g: %v, %v", x, err, w)
		}
	}
}

// TestEmbeddingsInFewBits: a rule that is of embeddings says how a checkpoint holds them; in memory they stay as they are, and rules
// that are not change nothing.
func TestEmbeddingsInFewBits(t *testing.T) {
	yes := true
	for _, c := range []struct {
		rule nn.Rule
		bits int
	}{
		{nn.Rule{Match: "*", Storage: nn.Storage{Quantize: "int8"}, OneOf: nn.As(nn.Dense{})}, 0},
		{nn.Rule{Match: "*", Storage: nn.Storage{Quantize: "int8", Embeddings: &yes}, OneOf: nn.As(nn.Dense{})}, 8},
		{nn.Rule{Match: "other", Storage: nn.Storage{Quantize: "int8", Embeddings: &yes}, OneOf: nn.As(nn.Dense{})}, 0},
		{nn.Rule{Match: "*", Storage: nn.Storage{Quantize: "int4", Embeddings: &yes}, OneOf: nn.As(nn.Dense{})}, 4},
	} {
		s := nn.NewStore(tensor.Float32)
		s.Packed = true
		b := nn.NewBuilder(op.NewTape(tensor.Float32, false), s, nn.Options{Linear: []nn.Rule{c.rule}})
		nn.NewEmbedding(b.Sub("words"), 10, 8, nn.Normal(1))
		if got := s.Quantization("words.weight"); got.Bits != c.bits {
			t.Errorf("%+v: %d bits, want %d", c.rule, got.Bits, c.bits)
		}
		if s.InFewBits("words.weight") {
			t.Errorf("%+v: the embedding is in few bits in memory", c.rule)
		}
	}
}

// TestIntegers: layers of dense weights and factors that compute by integers are near those that compute with the values, whether a
// checkpoint holds these in few bits or not; their memory is that of the integers, which a plan counts too; and other kinds compute as
// before.
func TestIntegers(t *testing.T) {
	const in, out, rows = 64, 50, 7
	for _, kind := range []nn.Kind{nn.Dense{}, nn.LowRank{Rank: 32}, nn.SLTrain{Rank: 5, Density: 0.1, UpInit: "uniform"}} {
		for _, quantize := range []string{"", "int8", "int4"} {
			cfg := nn.Rule{OneOf: nn.As(kind), Storage: nn.Storage{Quantize: quantize}}
			t.Run(fmt.Sprintf("%s %s", cfg.Name, quantize), func(t *testing.T) {
				plain := factored(cfg, 3, tensor.Float32, in, out, true)
				for _, name := range plain.Names() {
					w := plain.Get(name).Float32s()
					for i, x := range drawn(name, len(w)) {
						w[i] += 0.1 * x
					}
					if err := plain.Quantization(name).Round(w); err != nil {
						t.Fatal(err)
					}
				}
				want := outputsOf(t, plain, cfg, rows, in, out)[:rows*out]
				whole, before := cfg.Name != "sltrain", plain.Bytes()
				plain.Int8 = true
				got := outputsOf(t, plain, cfg, rows, in, out)[:rows*out]
				var off, norm float64
				for i := range want {
					off, norm = off+math.Pow(float64(got[i]-want[i]), 2), norm+math.Pow(float64(want[i]), 2)
				}
				if off > 4e-4*norm || (off == 0) == whole {
					t.Errorf("a share of %g of the outputs is lost", math.Sqrt(off/norm))
				}
				if (plain.Bytes() < before) != whole {
					t.Errorf("%d bytes, before %d", plain.Bytes(), before)
				}
				plan := nn.NewStore(tensor.Float32)
				plan.Virtual, plan.Int8 = true, true
				tape := op.NewTape(tensor.Float32, false)
				cfg.Match = "*"
				b := nn.NewBuilder(tape, plan, nn.Options{Seed: 3, Linear: []nn.Rule{cfg}})
				nn.NewLinear(b.Sub("layer"), in, out, true, nn.Normal(0.02)).Forward(tape.Input("x", tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(rows, in))))
				if plan.Bytes() != plain.Bytes() {
					t.Errorf("%d bytes are planned, want %d", plan.Bytes(), plain.Bytes())
				}
			})
		}
	}
}

// TestWordsInIntegers: the embedding of words is in 8 or 4 bits once, for its rows and for the head that is tied to it; other embeddings
// stay as they are.
func TestWordsInIntegers(t *testing.T) {
	yes := true
	for _, rule := range []nn.Rule{
		{Match: "none", OneOf: nn.As(nn.Dense{})}, {Match: "*", Storage: nn.Storage{Quantize: "int8", Embeddings: &yes}, OneOf: nn.As(nn.Dense{})}, {Match: "*", Storage: nn.Storage{Quantize: "int4", Embeddings: &yes}, OneOf: nn.As(nn.Dense{})},
	} {
		s := nn.NewStore(tensor.Float32)
		s.Packed, s.Int8 = true, true
		tape := op.NewTape(tensor.Float32, false)
		b := nn.NewBuilder(tape, s, nn.Options{Linear: []nn.Rule{rule}})
		words, places := nn.NewWords(b.Sub("words"), 40, 64, nn.Normal(1)), nn.NewEmbedding(b.Sub("places"), 5, 64, nn.Normal(1))
		if s.InFewBits("words.weight") != (rule.Quantize != "") || s.InFewBits("places.weight") {
			t.Errorf("%q: the words are in few bits: %t, places: %t", rule.Quantize, s.InFewBits("words.weight"), s.InFewBits("places.weight"))
		}
		if rule.Quantize != "" {
			s.Codes("words.weight").Quantize(drawn("words", 40*64))
		}
		ids := tape.Input("ids", tensor.New(tensor.WithShape(3), tensor.WithBacking([]int{39, 0, 7})))
		x := words.Forward(ids)
		y := words.Logits(x)
		z := places.Forward(tape.Input("at", tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{4}))))
		runner(t, tape, x, y, z)()
		values := make([]float32, 40*64)
		if s.InFewBits("words.weight") {
			kernel.Dequantize(values, s.Codes("words.weight"))
		} else {
			copy(values, s.Get("words.weight").Float32s())
		}
		rows, scores := x.Value().(*tensor.Dense).Float32s(), y.Value().(*tensor.Dense).Float32s()
		for i, id := range []int{39, 0, 7} {
			for k, v := range rows[i*64 : (i+1)*64] {
				if want := values[id*64+k]; math.Abs(float64(v-want)) > 1e-2*math.Abs(float64(want))+2e-2 {
					t.Fatalf("%q: row %d, column %d is %g, want %g", rule.Quantize, id, k, v, want)
				}
			}
			var want float64
			for _, v := range rows[i*64 : (i+1)*64] {
				want += float64(v) * float64(v)
			}
			if got := float64(scores[i*40+id]); math.Abs(got-want) > 0.02*want {
				t.Errorf("%q: the score of row %d with itself is %g, want %g", rule.Quantize, id, got, want)
			}
		}
		if got := z.Value().(*tensor.Dense).Float32s(); !slices.Equal(got, s.Get("places.weight").Float32s()[4*64:]) {
			t.Errorf("%q: places have changed", rule.Quantize)
		}
	}
}
