package nn_test

import (
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

// TestLayerGradientsRows: blocks of rows of matrices above 2^20 elements have whole grains, whatever the width, and about
// 2^20 elements where the width allows it; what is no larger than a block comes whole.
func TestLayerGradientsRows(t *testing.T) {
	for name, c := range map[string]struct {
		shape []int
		want  int
	}{
		"vector":                  {[]int{1 << 22}, 0},
		"at the limit":            {[]int{1 << 10, 1 << 10}, 0},
		"one row above the limit": {[]int{1<<10 + 1, 1 << 10}, 1 << 10},
		"power of two":            {[]int{32000, 4096}, 256},
		"even":                    {[]int{40_000, 1536}, 640},   // 3 2^9: a grain is 64 rows
		"twice an odd number":     {[]int{40_000, 50}, 1 << 14}, // a grain is 2^14 rows
		"odd":                     {[]int{70_000, 33}, 1 << 15},
		"odd and short":           {[]int{1 << 15, 33}, 0}, // a block is all rows
		"odd and wide":            {[]int{4096, 1001}, 0},
		"narrow":                  {[]int{1 << 21, 1}, 1 << 20},
		"wider than a grain":      {[]int{100, 1 << 16}, 16},
		"wider than a block":      {[]int{4, 1 << 21}, 1},
		"wide, of odd grains":     {[]int{64, 3 << 15}, 10},
		"wide, half a grain":      {[]int{64, 5 << 14}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			store := nn.NewStore(tensor.Float32)
			store.Virtual = true
			build(store, nn.Options{}, func(b *nn.Builder) { b.Weight("w", nn.Constant(0), c.shape...) })
			got := nn.NewLayerGradients(store).Rows("w")
			if got != c.want {
				t.Errorf("Rows of %v = %d, want %d", c.shape, got, c.want)
			}
			if got > 0 && (got*c.shape[1]%nn.GradientGrain != 0 || got >= c.shape[0]) {
				t.Errorf("Rows of %v = %d: want fewer than all, of whole grains", c.shape, got)
			}
		})
	}
}
