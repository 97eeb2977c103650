package cost

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
)

// shipped loads a config of configs/cost.
func shipped(t *testing.T, name string) Config {
	t.Helper()
	c, err := Load(filepath.Join("..", "configs", "cost", name+".toml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const contextK = 1024

// row is one line of the report's tables 2, 3 and 6: work of a token, and USD per million tokens on H800, H20, A800 and 910B.
type row struct {
	config    string
	context   int
	work      [4]string // KV bytes, attention, linear and FFN FLOPs, to three digits
	attention [4]float64
	ffn       [4]float64
}

var table = []row{
	{"deepseek-v3", 8, [4]string{"2.88e+08", "1.47e+11", "2.28e+10", "4.84e+10"}, [4]float64{.054, .128, .114, .113}, [4]float64{.014, .036, .032, .032}},
	{"kimi-k2", 8, [4]string{"2.88e+08", "7.37e+10", "1.23e+10", "4.84e+10"}, [4]float64{.051, .065, .057, .057}, [4]float64{.014, .036, .032, .032}},
	{"qwen3-235b", 8, [4]string{"7.89e+08", "2.52e+10", "1.34e+10", "2.84e+10"}, [4]float64{.135, .054, .091, .101}, [4]float64{.008, .021, .019, .019}},
	{"qwen3-32b", 8, [4]string{"1.07e+09", "1.72e+10", "1.21e+10", "5.03e+10"}, [4]float64{.181, .069, .120, .133}, [4]float64{.014, .038, .034, .033}},
	{"ernie-4.5-300b", 8, [4]string{"9.06e+08", "1.45e+10", "1.63e+10", "7.61e+10"}, [4]float64{.155, .063, .105, .116}, [4]float64{.021, .057, .051, .051}},
	{"pangu-pro", 8, [4]string{"8.05e+08", "8.05e+09", "6.04e+09", "2.38e+10"}, [4]float64{.135, .049, .088, .098}, [4]float64{.007, .018, .016, .016}},
	{"step3", 8, [4]string{"2.56e+08", "3.27e+10", "2.07e+10", "5.33e+10"}, [4]float64{.048, .040, .040, .043}, [4]float64{.015, .040, .036, .035}},
	{"deepseek-v3", 32, [4]string{"1.15e+09", "5.89e+11", "2.28e+10", "4.84e+10"}, [4]float64{.197, .460, .409, .407}, [4]float64{.014, .036, .032, .032}},
	{"qwen3-235b", 32, [4]string{"3.15e+09", "1.01e+11", "1.34e+10", "2.84e+10"}, [4]float64{.527, .185, .338, .376}, [4]float64{.008, .021, .019, .019}},
	{"step3", 32, [4]string{"1.02e+09", "1.31e+11", "2.07e+10", "5.33e+10"}, [4]float64{.176, .114, .120, .133}, [4]float64{.015, .040, .036, .035}},
}

// usdTolerance is one in the tables' last digit, and as much for the rounding of the report's own inputs.
const usdTolerance = 0.002

// TestReportTables: work and prices of the report, computed from the models' sizes.
func TestReportTables(t *testing.T) {
	for _, r := range table {
		t.Run(fmt.Sprintf("%s at %dk", r.config, r.context), func(t *testing.T) {
			w := shipped(t, r.config).Work(r.context * contextK)
			for i, got := range []float64{w.KVBytes, w.AttentionFLOPs, w.LinearFLOPs, w.FFNFLOPs} {
				if s := fmt.Sprintf("%.2e", got); s != r.work[i] {
					t.Errorf("%s = %s, want %s", [...]string{"KV bytes", "attention FLOPs", "linear FLOPs", "FFN FLOPs"}[i], s, r.work[i])
				}
			}
			for i, c := range Cards {
				if got, _ := c.AttentionUSD(w); math.Abs(got-r.attention[i]) > usdTolerance {
					t.Errorf("attention on %s = %.4f USD, want %.3f", c.Title, got, r.attention[i])
				}
				if got := c.FFNUSD(w); math.Abs(got-r.ffn[i]) > usdTolerance {
					t.Errorf("FFN on %s = %.4f USD, want %.3f", c.Title, got, r.ffn[i])
				}
			}
		})
	}
}

// TestReportTotals: the totals of the cheapest pairing that the report quotes, at 8k and 32k.
func TestReportTotals(t *testing.T) {
	for _, c := range []struct {
		config         string
		context        int
		attention, ffn string // cards
		want           float64
	}{
		{"step3", 8, "", "H800", 0.055}, // H20 and A800 cost the same for attention, to three digits
		{"step3", 32, "H20", "H800", 0.129},
		{"deepseek-v3", 8, "H800", "H800", 0.068},
		{"deepseek-v3", 32, "H800", "H800", 0.211},
		{"qwen3-235b", 8, "H20", "H800", 0.062},
		{"qwen3-235b", 32, "H20", "H800", 0.193},
	} {
		p := Cheapest(shipped(t, c.config).Work(c.context*contextK), Cards)
		if math.Abs(p.USD-c.want) > usdTolerance || (c.attention != "" && p.Attention.Title != c.attention) || p.FFN.Title != c.ffn {
			t.Errorf("%s at %dk: %s + %s for %.4f USD, want %s + %s for %.3f", c.config, c.context, p.Attention.Title, p.FFN.Title, p.USD, c.attention, c.ffn, c.want)
		}
	}
}

// sizeTolerance is for names such as 235B-A22B, which round, and differ in whether the input embedding works on a token.
const sizeTolerance = 0.03

// TestReportSizes: parameters, intensities and sparsities that the report and the models' own papers give.
func TestReportSizes(t *testing.T) {
	for _, c := range []struct {
		config           string
		total, activated float64 // billions
		intensity        float64
		sparsity         float64
	}{
		{"step3", 316, 38, 128, 4. / 49},
		{"deepseek-v3", 671, 37, 512, 9. / 257},
		{"kimi-k2", 1040, 32, 256, 9. / 385},
		{"qwen3-235b", 235, 22, 32, 8. / 128},
		{"qwen3-32b", 32.8, 32.8, 16, 1},
		{"ernie-4.5-300b", 300, 47, 16, 8. / 64},
		{"pangu-pro", 72, 16, 10, 12. / 68},
	} {
		m := shipped(t, c.config)
		p := m.Parameters()
		if math.Abs(p.Total/1e9/c.total-1) > sizeTolerance || math.Abs(p.Activated/1e9/c.activated-1) > sizeTolerance {
			t.Errorf("%s: %.1f billion parameters, %.1f activated, want %g and %g", c.config, p.Total/1e9, p.Activated/1e9, c.total, c.activated)
		}
		if got := m.Work(8 * contextK).Intensity(); got != c.intensity {
			t.Errorf("%s: intensity %v, want %v", c.config, got, c.intensity)
		}
		if got := m.Sparsity(); math.Abs(got-c.sparsity) > 1e-12 {
			t.Errorf("%s: sparsity %v, want %v", c.config, got, c.sparsity)
		}
	}
}

// TestStep3Parameters: the exact counts of Step-3's configuration.
func TestStep3Parameters(t *testing.T) {
	p := shipped(t, "step3").Parameters()
	got := fmt.Sprintf("%.2fM %.1fB %.1fB", p.AttentionPerLayer/1e6, p.Total/1e9, p.Activated/1e9)
	if want := "169.35M 316.3B 37.9B"; got != want {
		t.Errorf("attention a layer, total, activated = %s, want %s", got, want)
	}
}

// TestReportMinSparsity: the least sparsity at d = 7168 and L = 61, to three decimals.
func TestReportMinSparsity(t *testing.T) {
	for i, want := range []string{"0.058", "0.007", "0.031", "0.034"} {
		if got := fmt.Sprintf("%.3f", Cards[i].MinSparsity(shipped(t, "step3"))); got != want {
			t.Errorf("%s: least sparsity %s, want %s", Cards[i].Title, got, want)
		}
	}
}

// TestReportRoofline: FLOPs a byte of each card.
func TestReportRoofline(t *testing.T) {
	for i, want := range []string{"591", "74", "156", "175"} {
		if got := fmt.Sprintf("%.0f", Cards[i].Roofline()); got != want {
			t.Errorf("%s: roofline at %s FLOPs a byte, want %s", Cards[i].Title, got, want)
		}
	}
}
