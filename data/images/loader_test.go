package images

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
	"sparrow/internal/rng"
)

// pictures makes n images of random values in classes of their own.
func pictures(n, channels, side, classes int) *Images {
	x := &Images{Channels: channels, Height: side, Width: side}
	r := rng.New(1, "test/pictures", 0)
	for i := range n {
		for range channels * side * side {
			x.pixels = append(x.pixels, uint8(r.Intn(256)))
		}
		x.labels = append(x.labels, int32(i%classes))
	}
	return x
}

func imageLoader(t *testing.T, x *Images, batch, classes int, augment AugmentConfig) *Loader {
	t.Helper()
	l, err := NewLoader(x, LoaderConfig{BatchSize: batch, Classes: classes, Seed: 5, Normalisation: x.Normalisation(), Augment: augment})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// everything is all of [data.augment].
var everything = AugmentConfig{Flip: true, CropPadding: 2, Jitter: 0.4, Erase: 0.5, Mixup: 0.8, CutMix: 1, LabelSmoothing: 0.1}

// TestLoaderEpochs: in an epoch every image comes once, in another order than in the next; empty rows are zeros that do
// not count.
func TestLoaderEpochs(t *testing.T) {
	x := pictures(11, 3, 6, 3)
	l := imageLoader(t, x, 4, 3, AugmentConfig{})
	var b Batch
	var orders [2][]int
	for epoch := range orders {
		for range l.Batches() {
			l.Next(&b)
			orders[epoch] = append(orders[epoch], b.Index[:b.N]...)
			for row := b.N; row < 4; row++ {
				size := len(b.Pixels) / 4
				if b.Labels[row] != data.IgnoredTarget || b.Index[row] != -1 || slices.Max(b.Targets[row*3:row*3+3]) != 0 || slices.Max(b.Pixels[row*size:(row+1)*size]) != 0 {
					t.Errorf("epoch %d: empty row %d has label %d, index %d, target %v", epoch, row, b.Labels[row], b.Index[row], b.Targets[row*3:row*3+3])
				}
			}
		}
		sorted := slices.Sorted(slices.Values(orders[epoch]))
		for i, at := range sorted {
			if i != at || len(sorted) != 11 {
				t.Fatalf("epoch %d has the images %v, want each once", epoch, orders[epoch])
			}
		}
	}
	if slices.Equal(orders[0], orders[1]) {
		t.Errorf("two epochs have one order, %v", orders[0])
	}
}

// TestLoaderSeek: at a cursor a loader is the same whether it walked there or was put there, all of augmentation on.
func TestLoaderSeek(t *testing.T) {
	x := pictures(11, 3, 6, 3)
	l := imageLoader(t, x, 4, 3, everything)
	var want, got Batch
	for step := range 8 {
		at := l.Cursor()
		l.Next(&want)
		other := imageLoader(t, x, 4, 3, everything)
		if err := other.Seek(at); err != nil {
			t.Fatal(err)
		}
		other.Next(&got)
		if !slices.Equal(got.Pixels, want.Pixels) || !slices.Equal(got.Targets, want.Targets) || !slices.Equal(got.Index, want.Index) || got.N != want.N {
			t.Fatalf("step %d: at %v another batch than the loader that walked there", step, at)
		}
		for row := range want.N {
			var sum float64
			for _, q := range want.Targets[row*3 : row*3+3] {
				sum += float64(q)
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Errorf("step %d, row %d: the target sums to %v", step, row, sum)
			}
		}
	}
	for _, c := range []data.Cursor{{Epoch: -1, Position: 0}, {Epoch: 0, Position: -1}, {Epoch: 0, Position: 4}} {
		if err := l.Seek(c); err == nil {
			t.Errorf("Seek(%v): no error", c)
		}
	}
}

// TestLoaderErrors: what no loader can be made of.
func TestLoaderErrors(t *testing.T) {
	x := pictures(4, 3, 6, 2)
	good := LoaderConfig{BatchSize: 2, Classes: 2, Normalisation: x.Normalisation()}
	for _, c := range []struct {
		name   string
		images *Images
		change func(*LoaderConfig)
		want   string
	}{
		{"no images", &Images{}, func(*LoaderConfig) {}, "no images"},
		{"batch", x, func(c *LoaderConfig) { c.BatchSize = 0 }, "batch size 0"},
		{"classes", x, func(c *LoaderConfig) { c.Classes = 0 }, "0 classes"},
		{"channels", x, func(c *LoaderConfig) { c.Mean = c.Mean[:1] }, "1 and 3 channels for images of 3"},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := NewLoader(c.images, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestNormalisation: over the split it was made from, every channel gets mean 0 and deviation 1; one that does not vary
// stays finite.
func TestNormalisation(t *testing.T) {
	x := pictures(50, 3, 6, 2)
	for i := range x.Len() {
		pixels, _ := x.At(i)
		for p := range 36 {
			pixels[2*36+p] = 7
		}
	}
	set := EvalBatches(x, x.Normalisation(), 50, 0, nil)
	var b Batch
	if err := set.Batch(0, &b); err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		var sum, squares float64
		for p := c; p < len(b.Pixels); p += 3 {
			v := float64(b.Pixels[p])
			sum += v
			squares += v * v
		}
		n := float64(len(b.Pixels) / 3)
		want := 1.0
		if c == 2 {
			want = 0
		}
		if math.Abs(sum/n) > 1e-4 || math.Abs(squares/n-want) > 1e-3 {
			t.Errorf("channel %d: mean %v and mean square %v, want 0 and %v", c, sum/n, squares/n, want)
		}
	}
	pixels, label := x.At(1)
	norm := x.Normalisation()
	if got, want := b.Pixels[36*3+5*3+1], float32((float64(pixels[36+5])/255-norm.Mean[1])/norm.Std[1]); got != want || b.Labels[1] != label {
		t.Errorf("image 1, pixel 5, channel 1: %v with label %d, want %v and %d", got, b.Labels[1], want, label)
	}
}

// TestEvalBatchesAreSpread: a limit takes images from all over the list.
func TestEvalBatchesAreSpread(t *testing.T) {
	x := pictures(100, 1, 4, 2)
	set := EvalBatches(x, x.Normalisation(), 4, 10, nil)
	var b Batch
	var seen []int
	for i := range set.Batches() {
		if err := set.Batch(i, &b); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b.Index[:b.N]...)
	}
	if want := []int{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}; !slices.Equal(seen, want) || set.Len() != 10 {
		t.Errorf("%d images: %v, want %v", set.Len(), seen, want)
	}
}

// variant is what an augmenter makes of image i with the identity for its normalisation, [H*W, C] from 0 to 1.
func variant(x *Images, cfg AugmentConfig, i, epoch int) []float32 {
	norm := Normalisation{}
	for range x.Channels {
		norm.Mean, norm.Std = append(norm.Mean, 0), append(norm.Std, 1)
	}
	dst := make([]float32, x.Channels*x.Height*x.Width)
	newAugmenter(cfg, norm, x).put(dst, i, rng.New(1, "test", uint64(epoch)))
	return dst
}

// TestAugmentations: each variant of an image is one that its equation allows, and over many draws all kinds come.
func TestAugmentations(t *testing.T) {
	x := pictures(1, 3, 6, 1)
	plain := variant(x, AugmentConfig{}, 0, 0)
	at := func(v []float32, y, x, c int) float32 {
		if y < 0 || y >= 6 || x < 0 || x >= 6 {
			return 0
		}
		return v[(y*6+x)*3+c]
	}
	// shifted is the image moved by (dy, dx) and mirrored if flip says so.
	shifted := func(dy, dx int, flip bool) []float32 {
		out := make([]float32, len(plain))
		for y := range 6 {
			for x := range 6 {
				from := x
				if flip {
					from = 5 - x
				}
				for c := range 3 {
					out[(y*6+x)*3+c] = at(plain, y+dy, from+dx, c)
				}
			}
		}
		return out
	}
	seen := map[string]bool{}
	for epoch := range 400 {
		v := variant(x, AugmentConfig{Flip: true, CropPadding: 1}, 0, epoch)
		found := ""
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				for _, flip := range []bool{false, true} {
					if slices.Equal(v, shifted(dy, dx, flip)) {
						found = fmt.Sprint(dy, dx, flip)
					}
				}
			}
		}
		if found == "" {
			t.Fatalf("epoch %d: the variant is no shift or mirror image", epoch)
		}
		seen[found] = true
	}
	if len(seen) != 18 {
		t.Errorf("%d of 18 shifts and mirror images came: %v", len(seen), seen)
	}

	erased := 0
	for epoch := range 400 {
		v := variant(x, AugmentConfig{Erase: 0.5}, 0, epoch)
		changed := 0
		for p := range 36 {
			if v[p*3] != plain[p*3] {
				changed++
			}
		}
		if changed > 36/2 { // at most a third, but for rounding of the sides
			t.Errorf("epoch %d: %d of 36 pixels are erased", epoch, changed)
		}
		if changed > 0 {
			erased++
		}
	}
	if erased < 160 || erased > 240 {
		t.Errorf("%d of 400 images have an erased rectangle, want about 200", erased)
	}
}

// TestJitter: with the factors drawn, values are those of the equations of brightness, contrast and saturation.
func TestJitter(t *testing.T) {
	x := pictures(1, 3, 4, 1)
	const j = 0.4
	got := variant(x, AugmentConfig{Jitter: j}, 0, 3)
	r := rng.New(1, "test", 3)
	r.Intn(1)
	r.Intn(1)
	r.Float64() // crop and flip
	var f [3]float64
	for i := range f {
		f[i] = 1 - j + 2*j*r.Float64()
	}
	clip := func(v float64) float64 { return min(max(v, 0), 1) }
	pixels, _ := x.At(0)
	var rgb [16][3]float64
	var mean float64
	grey := func(v [3]float64) float64 { return 0.299*v[0] + 0.587*v[1] + 0.114*v[2] }
	for p := range rgb {
		for c := range 3 {
			rgb[p][c] = clip(f[0] * float64(pixels[c*16+p]) / 255)
		}
		mean += grey(rgb[p]) / 16
	}
	for p, v := range rgb {
		for c := range 3 {
			v[c] = clip(f[1]*v[c] + (1-f[1])*mean)
		}
		g := grey(v)
		for c := range 3 {
			want := clip(f[2]*v[c] + (1-f[2])*g)
			if math.Abs(float64(got[p*3+c])-want) > 1e-6 {
				t.Errorf("pixel %d, channel %d: %v, want %v", p, c, got[p*3+c], want)
			}
		}
	}
}

// TestMixtures: a batch that is mixed is, pixel by pixel and in its targets, what the mixture says of an image and its
// partner.
func TestMixtures(t *testing.T) {
	x := pictures(4, 1, 8, 4)
	var plain, b Batch
	imageLoader(t, x, 4, 4, AugmentConfig{}).Next(&plain)
	for _, c := range []struct {
		name string
		cfg  AugmentConfig
	}{{"mixup", AugmentConfig{Mixup: 0.8}}, {"cutmix", AugmentConfig{CutMix: 1}}} {
		l := imageLoader(t, x, 4, 4, c.cfg)
		l.Next(&b)
		if !slices.Equal(b.Index, plain.Index) {
			t.Fatalf("%s: images %v, want %v", c.name, b.Index, plain.Index)
		}
		for row := range 4 {
			other := 3 - row
			keep := float64(b.Targets[row*4+b.Labels[row]])
			if math.Abs(keep+float64(b.Targets[row*4+b.Labels[other]])-1) > 1e-6 {
				t.Errorf("%s: row %d: target %v of labels %d and %d", c.name, row, b.Targets[row*4:row*4+4], b.Labels[row], b.Labels[other])
			}
			own, either := 0, 0
			for p := range 64 {
				v, mine, theirs := b.Pixels[row*64+p], plain.Pixels[row*64+p], plain.Pixels[other*64+p]
				switch {
				case c.cfg.Mixup > 0:
					if want := keep*float64(mine) + (1-keep)*float64(theirs); math.Abs(float64(v)-want) > 1e-5 {
						t.Errorf("mixup: row %d, pixel %d: %v, want %v", row, p, v, want)
					}
				case mine == theirs && v == mine:
					either++
				case v == mine:
					own++
				case v != theirs:
					t.Errorf("cutmix: row %d, pixel %d: %v is of neither image", row, p, v)
				}
			}
			if c.cfg.CutMix > 0 && (64*keep < float64(own)-1e-3 || 64*keep > float64(own+either)+1e-3) {
				t.Errorf("cutmix: row %d: %d to %d of 64 pixels are its own, and %v of the target", row, own, own+either, keep)
			}
		}
	}
}

// TestBeta: mean a half, variance 1/(4 (2a+1)).
func TestBeta(t *testing.T) {
	for _, a := range []float64{0.001, 0.2, 0.8, 1, 5} {
		r := rng.New(3, "test/beta", 0)
		const n = 20000
		var sum, squares float64
		for range n {
			x := beta(a, r)
			if !(x >= 0 && x <= 1) {
				t.Fatalf("Beta(%v, %v) drew %v", a, a, x)
			}
			sum += x
			squares += x * x
		}
		mean, variance := sum/n, squares/n-sum/n*sum/n
		if want := 1 / (4 * (2*a + 1)); math.Abs(mean-0.5) > 0.02 || math.Abs(variance-want) > 0.01 {
			t.Errorf("Beta(%v, %v): mean %v, variance %v, want 0.5 and %v", a, a, mean, variance, want)
		}
	}
}

// TestLabelSmoothing: the label keeps 1-s and its part of s.
func TestLabelSmoothing(t *testing.T) {
	x := pictures(2, 1, 4, 2)
	l := imageLoader(t, x, 2, 4, AugmentConfig{LabelSmoothing: 0.2})
	var b Batch
	l.Next(&b)
	for row := range 2 {
		for class, q := range b.Targets[row*4 : row*4+4] {
			want := float32(0.05)
			if class == b.Labels[row] {
				want = 0.85
			}
			if math.Abs(float64(q-want)) > 1e-6 {
				t.Errorf("row %d: target %v", row, b.Targets[row*4:row*4+4])
				break
			}
		}
	}
}
