package op

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// TestForwardMaps compares the operators on maps with loops written from their
// equations.
func TestForwardMaps(t *testing.T) {
	conv := func(s ConvShape, in, out int, bias bool) (subject, []float64) {
		c := convOf("conv", s, in, out, bias)
		return c, naiveConv(c, s.defaults(), 1)
	}
	depthwise := func(s DepthwiseShape, channels int) (subject, []float64) {
		c := depthwiseOf("depthwise", s, channels)
		want := naiveConv(c, ConvShape{Map: s.Map, Kernel: 3, Padding: 1}.defaults(), channels)
		if s.Residual {
			for i, x := range c.floats["x"].data {
				want[i] += x
			}
		}
		return c, want
	}
	fuse := func(fusion string, m Map, kernel, dilation, heads, c int) (subject, []float64) {
		return fuseOf(fusion, m, kernel, dilation, heads, c), naiveFuse(fusion, m, kernel, dilation, heads, c)
	}
	set := func(batch, queries, c int, sets ...KeySet) (subject, []float64) {
		s := setAttentionOf("set attention", batch, queries, c, sets...)
		return s, naiveSets(s, batch, queries, c, sets)
	}
	for name, f := range map[string]func() (subject, []float64){
		"conv": func() (subject, []float64) { return conv(ConvShape{Map: Map{2, 5, 7}, Kernel: 3}, 3, 4, false) },
		"conv padded": func() (subject, []float64) {
			return conv(ConvShape{Map: Map{2, 5, 7}, Kernel: 3, Padding: 2}, 3, 4, true)
		},
		"conv strided": func() (subject, []float64) {
			return conv(ConvShape{Map: Map{2, 9, 8}, Kernel: 7, Padding: 3, Stride: 4}, 3, 4, true)
		},
		"conv dilated": func() (subject, []float64) {
			return conv(ConvShape{Map: Map{2, 9, 8}, Kernel: 3, Padding: 1, Dilation: 3}, 2, 3, true)
		},
		"conv of patches": func() (subject, []float64) {
			return conv(ConvShape{Map: Map{2, 9, 8}, Kernel: 4, Stride: 4}, 2, 3, true)
		},
		"depthwise":              func() (subject, []float64) { return depthwise(DepthwiseShape{Map: Map{2, 5, 4}}, 3) },
		"depthwise residual":     func() (subject, []float64) { return depthwise(DepthwiseShape{Map: Map{2, 5, 4}, Residual: true}, 3) },
		"depthwise of one pixel": func() (subject, []float64) { return depthwise(DepthwiseShape{Map: Map{2, 1, 1}}, 3) },
		"fuse mean":              func() (subject, []float64) { return fuse("mean", Map{2, 7, 9}, 3, 1, 2, 4) },
		"fuse mean dilated":      func() (subject, []float64) { return fuse("mean", Map{2, 7, 9}, 3, 2, 2, 4) },
		"fuse reference":         func() (subject, []float64) { return fuse("reference", Map{2, 7, 9}, 3, 1, 2, 6) },
		"fuse reference dilated": func() (subject, []float64) { return fuse("reference", Map{2, 7, 9}, 3, 2, 1, 5) },
		"sets of keys":           func() (subject, []float64) { return set(2, 7, 3+2*2*4, factorized(5, 4, 3, 2, 4)...) },
		"sets in several blocks": func() (subject, []float64) { return set(1, setBlock+3, 3+2*4, factorized(5, 4, 3, 1, 4)...) },
		"regions":                func() (subject, []float64) { return set(4, 3, 4, windowed(3, 2, 2, 0, 0, 1, 5, 6, 5)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, want := f()
			same(t, name, s.compile(t, tensor.Float64).result(t).y, want, forwardTol)
		})
	}
}

// naiveConv is a convolution in groups of channels: 1, or as many as channels.
func naiveConv(s subject, c ConvShape, groups int) []float64 {
	x, w := s.floats["x"], s.floats["w"]
	in, out := x.shape[1], w.shape[0]
	perGroup := in / groups
	o := c.Out()
	var y []float64
	for b := range c.Batch {
		for i := range o.Height {
			for j := range o.Width {
				for ch := range out {
					var sum float64
					if bias, ok := s.floats["b"]; ok {
						sum = bias.data[ch]
					}
					for g := range perGroup {
						from := g
						if groups > 1 {
							from = ch
						}
						for k := range c.Kernel {
							for l := range c.Kernel {
								yy, xx := i*c.Stride+k*c.Dilation-c.Padding, j*c.Stride+l*c.Dilation-c.Padding
								if yy >= 0 && yy < c.Height && xx >= 0 && xx < c.Width {
									sum += w.data[((ch*perGroup+g)*c.Kernel+k)*c.Kernel+l] * x.data[((b*c.Height+yy)*c.Width+xx)*in+from]
								}
							}
						}
					}
					y = append(y, sum)
				}
			}
		}
	}
	return y
}

// naiveFuse pads by reflection, lists each tap's pixels over all windows and fuses
// them, all by coordinates.
func naiveFuse(fusion string, m Map, kernel, dilation, heads, c int) []float64 {
	x := fuseOf(fusion, m, kernel, dilation, heads, c).floats["x"].data
	stride := dilation*(kernel-1) + 1
	mirrored := func(i, n int) int {
		if i >= n {
			return 2*(n-1) - i
		}
		return i
	}
	var y []float64
	for b := range m.Batch {
		for k := range kernel {
			for l := range kernel {
				var pixels [][]float64 // one a window
				for top := 0; top < m.Height; top += stride {
					for left := 0; left < m.Width; left += stride {
						at := (b*m.Height+mirrored(top+k*dilation, m.Height))*m.Width + mirrored(left+l*dilation, m.Width)
						pixels = append(pixels, x[at*c:(at+1)*c])
					}
				}
				for h := range heads {
					a := c / heads
					var entries []float64 // window by window, channel by channel
					for _, p := range pixels {
						entries = append(entries, p[h*a:(h+1)*a]...)
					}
					for j := range a {
						var sum float64
						for w := range pixels {
							if fusion == "mean" {
								sum += entries[w*a+j]
							} else {
								sum += entries[j*len(pixels)+w]
							}
						}
						y = append(y, sum/float64(len(pixels)))
					}
				}
			}
		}
	}
	return y
}

func naiveSets(s subject, batch, queries, c int, sets []KeySet) []float64 {
	q := s.floats["q"].data
	y := make([]float64, batch*queries*c)
	for i, set := range sets {
		k, v := s.floats["k"+string(rune('0'+i))].data, s.floats["v"+string(rune('0'+i))].data
		stride, scale := set.QueryStride, set.Scale
		if stride == 0 {
			stride = set.HeadDim
		}
		if scale == 0 {
			scale = 1 / math.Sqrt(float64(set.HeadDim))
		}
		width := set.Heads * set.HeadDim
		for row := range batch * queries {
			b := row / queries
			for h := range set.Heads {
				weights, sum := make([]float64, set.Keys), 0.0
				for j := range weights {
					if r := set.Regions; r != nil {
						at := b * queries % len(r)
						if r[at+j] != r[at+row%queries] {
							continue
						}
					}
					var score float64
					for d := range set.HeadDim {
						score += q[row*c+set.Query+h*stride+d] * k[(b*set.Keys+j)*width+h*set.HeadDim+d]
					}
					weights[j] = math.Exp(scale * score)
					sum += weights[j]
				}
				for j, p := range weights {
					for d := range set.HeadDim {
						y[row*c+set.Out+h*set.HeadDim+d] += p / sum * v[(b*set.Keys+j)*width+h*set.HeadDim+d]
					}
				}
			}
		}
	}
	return y
}

// The two fusions are one for a single window, and differ for more.
func TestFusionsDiffer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		m     Map
		equal bool
	}{{"one window", Map{2, 3, 3}, true}, {"one padded window", Map{2, 2, 3}, true}, {"two windows", Map{2, 3, 6}, false}} {
		mean := fuseOf("mean", tc.m, 3, 1, 2, 8).compile(t, tensor.Float64).result(t).y
		reference := fuseOf("reference", tc.m, 3, 1, 2, 8).compile(t, tensor.Float64).result(t).y
		if slices.Equal(mean, reference) != tc.equal {
			t.Errorf("%s: the fusions are equal: %v, want %v", tc.name, !tc.equal, tc.equal)
		}
	}
}

func TestPadTable(t *testing.T) {
	for _, tc := range []struct {
		kind string
		want []int32
		err  string
	}{
		{"zeros", []int32{0, 1, 2, -1, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1}, ""},
		{"reflect", []int32{0, 1, 2, 1, 0, 3, 4, 5, 4, 3, 0, 1, 2, 1, 0}, ""},
		{"replicate", []int32{0, 1, 2, 2, 2, 3, 4, 5, 5, 5, 3, 4, 5, 5, 5}, ""},
	} {
		got, err := PadTable(tc.kind, 2, 3, 3, 5)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v, want %v", tc.kind, got, err, tc.want)
		}
	}
	for _, side := range []int{1, 2, 8} {
		if _, err := PadTable("reflect", side, side, 2*side, side); err == nil || !strings.Contains(err.Error(), "less than twice") {
			t.Errorf("reflect from %d to %d: %v, want an error", side, 2*side, err)
		}
		if _, err := PadTable("reflect", side, side, side, 2*side-1); err != nil {
			t.Errorf("reflect from %d to %d: %v", side, 2*side-1, err)
		}
	}
}

// A sample is dropped whole or scaled, by seed and step alone, at the rate asked
// for, and its gradient alike.
func TestDropPathSamples(t *testing.T) {
	const batch, size = 4000, 3
	ones := array{[]int{batch, size}, make([]float64, batch*size)}
	for i := range ones.data {
		ones.data[i] = 1
	}
	s := dropPathOf("drop path", 0.25, batch, 1, size)
	s.floats["x"], s.dy = ones, ones.data
	m := s.compile(t, tensor.Float32)
	r := m.result(t)
	kept := 0
	for b := range batch {
		row := r.y[b*size : (b+1)*size]
		if row[0] != 0 {
			kept++
		}
		for i, y := range row {
			if y != row[0] || y != 0 && math.Abs(y-1/0.75) > 1e-6 || r.grads["x"][b*size+i] != y {
				t.Fatalf("sample %d is %v with gradient %v", b, row, r.grads["x"][b*size:(b+1)*size])
			}
		}
	}
	if deviation := math.Sqrt(batch * 0.25 * 0.75); math.Abs(float64(kept)-batch*0.75) > 5*deviation {
		t.Errorf("%d of %d samples kept, want %.0f", kept, batch, batch*0.75)
	}
	if again := m.result(t); !slices.Equal(again.y, r.y) {
		t.Error("one step drops different samples in two runs")
	}
	m.ints["step"].Ints()[0]++
	if next := m.result(t); slices.Equal(next.y, r.y) {
		t.Error("two steps drop the same samples")
	}
}

// The operators on maps give the same bytes on any number of threads.
func TestMapThreads(t *testing.T) {
	t.Cleanup(func() { kernel.SetThreads(0) })
	for _, s := range oddVisionSubjects() {
		t.Run(s.name, func(t *testing.T) {
			m := s.compile(t, tensor.Float32)
			kernel.SetThreads(1)
			want := m.result(t)
			for _, threads := range []int{2, 3} {
				kernel.SetThreads(threads)
				sameResult(t, m.result(t), want, 0)
			}
		})
	}
}
