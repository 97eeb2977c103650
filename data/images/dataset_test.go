package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMNIST reads the module where the cache has it: tests use no network.
func TestMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out 70,000 images")
	}
	command := exec.Command("go", "mod", "download", mnistModule.Version)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		t.Skipf("the module cache has no %s: %s", mnistModule.Version, output)
	}
	t.Setenv("GOPROXY", "off")
	cfg := DefaultMNIST()
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 57000 || d.Validation.Len() != 3000 || d.Test.Len() != 10000 || d.Train.Height != 28 || d.Train.Width != 28 || d.Train.Channels != 1 {
		t.Errorf("%s", d.Describe())
	}
	// The published counts of the test digits and of the training ones.
	if got, want := d.Test.LabelCounts(10), []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}; !slices.Equal(got, want) {
		t.Errorf("test has %v of the digits, want %v", got, want)
	}
	train := d.Train.LabelCounts(10)
	for i, n := range d.Validation.LabelCounts(10) {
		train[i] += n
	}
	if want := []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}; !slices.Equal(train, want) {
		t.Errorf("training files have %v of the digits, want %v", train, want)
	}
	// The mean of the training pixels is published as 0.1307 of 255.
	sum := 0
	for _, x := range []*Images{d.Train, d.Validation} {
		for _, v := range x.pixels {
			sum += int(v)
		}
	}
	if mean := float64(sum) / (60000 * 28 * 28 * 255); mean < 0.13065 || mean > 0.13067 {
		t.Errorf("mean %v, want 0.13066", mean)
	}
}

// idx returns a file in the IDX format.
func idx(values []byte, shape ...int) []byte {
	file := []byte{0, 0, 8, byte(len(shape))}
	for _, n := range shape {
		file = append(file, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(file, values...)
}

// writeDigits writes 20 images of 2 x 3 pixels of two digits for each split.
func writeDigits(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"train", "t10k"} {
		var pixels, labels []byte
		for i := range 20 {
			for j := range 6 {
				pixels = append(pixels, byte(i*6+j))
			}
			labels = append(labels, byte(i%2*9))
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(idx(pixels, 20, 2, 3)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{name + "-images-idx3-ubyte.gz": packed.Bytes(), name + "-labels-idx1-ubyte": idx(labels, 20)} {
			if err := os.WriteFile(filepath.Join(root, file), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestMNISTFolder(t *testing.T) {
	cfg := DefaultMNIST()
	cfg.Root, cfg.ValidationShare = writeDigits(t), 0.2
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 16 || d.Validation.Len() != 4 || d.Test.Len() != 20 || !slices.Equal(d.Validation.LabelCounts(10), []int{2, 0, 0, 0, 0, 0, 0, 0, 0, 2}) {
		t.Errorf("%s", d.Describe())
	}
	if pixels, label := d.Test.At(3); !slices.Equal(pixels, []uint8{18, 19, 20, 21, 22, 23}) || label != 9 {
		t.Errorf("image 3 of test is %v, %d", pixels, label)
	}
	again, err := Open(t.Context(), cfg)
	if err != nil || again.SHA256 != d.SHA256 || !slices.Equal(again.Train.pixels, d.Train.pixels) {
		t.Errorf("read again: %v", err)
	}
	if _, err := OpenWith(t.Context(), cfg, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "trained on") {
		t.Errorf("other labels: %v", err)
	}
	cfg.MaxExamples = 10
	small, err := Open(t.Context(), cfg)
	if err != nil || small.Train.Len()+small.Validation.Len() != 10 || small.Test.Len() != 10 {
		t.Errorf("capped: %v", err)
	}
	survey, err := Look(t.Context(), cfg)
	if err != nil || survey.Height != 2 || survey.Width != 3 || survey.Channels != 1 || len(survey.Labels) != 10 || survey.Files != 4 {
		t.Errorf("Look: %+v, %v", survey, err)
	}
	cfg.MaxExamples = 0
	for _, test := range []struct {
		name, file string
		content    []byte
		want       string
	}{
		{"missing", "train-labels-idx1-ubyte", nil, "no such file or directory; want train-images-idx3-ubyte.gz"},
		{"empty", "train-labels-idx1-ubyte", []byte{}, "train-labels-idx1-ubyte: EOF in the header"},
		{"not packed", "train-images-idx3-ubyte.gz", []byte("hello, world"), "train-images-idx3-ubyte.gz: gzip: invalid header"},
		{"another format", "train-labels-idx1-ubyte", []byte("hello, world"), "begins with 68 65 6c 6c, want 00 00 08 01"},
		{"too short", "train-labels-idx1-ubyte", idx(make([]byte, 19), 20), "ends after 19 of 20 values"},
		{"too long", "train-labels-idx1-ubyte", idx(make([]byte, 21), 20), "more than the 20 values of its header"},
		{"absurd size", "train-labels-idx1-ubyte", idx(nil, 1<<32-1), "dimension 1 is 4294967295, want at least 1 and at most 2147483648"},
		{"no images", "train-labels-idx1-ubyte", idx(nil, 0), "dimension 1 is 0, want at least 1"},
		{"other count", "train-labels-idx1-ubyte", idx(make([]byte, 19), 19), "19 labels for 20 images"},
		{"no digit", "train-labels-idx1-ubyte", idx(bytes.Repeat([]byte{10}, 20), 20), "label 10 of image 0, want 0 to 9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg.Root = writeDigits(t)
			path := filepath.Join(cfg.Root, test.file)
			err := os.Remove(path)
			if err == nil && test.content != nil {
				err = os.WriteFile(path, test.content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// writeImage writes a PNG, or a JPEG if the name says so, of one colour with its top left pixel white.
func writeImage(t *testing.T, path string, h, w int, c color.Color) {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		picture.Set(i%w, i/w, c)
	}
	var file bytes.Buffer
	var err error
	if strings.HasSuffix(path, ".png") {
		picture.Set(0, 0, color.White)
		err = png.Encode(&file, picture)
	} else {
		err = jpeg.Encode(&file, picture, &jpeg.Options{Quality: 95})
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, file.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestImageFolder(t *testing.T) {
	root := t.TempDir()
	for i := range 10 {
		name := string(rune('a' + i))
		writeImage(t, filepath.Join(root, "cat", name+".png"), 8, 8, color.NRGBA{10, 20, uint8(i), 255})
		writeImage(t, filepath.Join(root, "dog", "more", name+".JPG"), 8, 8, color.NRGBA{uint8(10 * i), 100, 200, 255})
	}
	if err := os.WriteFile(filepath.Join(root, "cat", "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultFolder()
	cfg.Root, cfg.ValidationShare = root, 0.2
	open := func(threads int) *Dataset {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		d, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d, again := open(1), open(3)
	if d.SHA256 != again.SHA256 || !slices.Equal(d.Labels, []string{"cat", "dog"}) || d.Test != nil || !slices.Equal(d.Validation.LabelCounts(2), []int{2, 2}) || d.Train.Len() != 16 {
		t.Errorf("%s, %s", d.Describe(), again.Describe())
	}
	pixels, label := d.Train.At(0)
	red, green := pixels[:64], pixels[64:128]
	if label != 0 || red[0] != 255 || red[1] != 10 || red[63] != 10 || green[0] != 255 || green[1] != 20 {
		t.Errorf("the first image is %v of class %d", pixels, label)
	}
	pixels, label = d.Train.At(15)
	if label != 1 || pixels[64] < 97 || pixels[64] > 103 {
		t.Errorf("the last image is %v of class %d", pixels, label)
	}
	survey, err := Look(t.Context(), cfg)
	if err != nil || survey.Files != 20 || survey.Height != 8 || survey.Channels != 3 || !slices.Equal(survey.Labels, d.Labels) {
		t.Errorf("Look: %+v, %v", survey, err)
	}

	// Splits that the folder has, images of several sizes, transparent pixels.
	cfg.Root, cfg.ImageSize = t.TempDir(), 8
	for _, name := range []string{"train/x/1.png", "train/y/1.png", "val/y/1.png", "test/x/1.jpeg"} {
		writeImage(t, filepath.Join(cfg.Root, filepath.FromSlash(name)), 20, 11+len(name), color.NRGBA{200, 100, 0, 128})
	}
	split := open(2)
	if split.Train.Len() != 2 || split.Validation.Len() != 1 || split.Test.Len() != 1 || split.Train.Width != 8 {
		t.Errorf("%s", split.Describe())
	}
	if pixels, _ := split.Validation.At(0); pixels[63] < 99 || pixels[63] > 101 || pixels[127] < 49 || pixels[127] > 51 {
		t.Errorf("half transparent 200, 100 is %d, %d, want 100, 50", pixels[63], pixels[127])
	}
	if _, err := OpenWith(t.Context(), cfg, []string{"y", "z"}); err == nil || !strings.Contains(err.Error(), `class "x" is none of the classes of training, "y", "z"`) {
		t.Errorf("an unknown class: %v", err)
	}
}

func TestImageFolderErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(root string, cfg *Folder) error
		want   string
	}{
		{"missing folder", func(root string, cfg *Folder) error { cfg.Root = "none"; return nil }, "none: no such file"},
		{"a file", func(root string, cfg *Folder) error { cfg.Root = filepath.Join(root, "a", "1.png"); return nil }, "is a file, want a folder"},
		{"no root", func(root string, cfg *Folder) error { cfg.Root = ""; return nil }, `root = "" is empty`},
		{"one class", func(root string, cfg *Folder) error { return os.RemoveAll(filepath.Join(root, "b")) }, `only the class "a", want at least two`},
		{"no classes", func(root string, cfg *Folder) error { cfg.Root = filepath.Join(root, "b"); return nil }, "no folder, want one for each class"},
		{"no images", func(root string, cfg *Folder) error { return os.Remove(filepath.Join(root, "b", "1.png")) }, "no .png, .jpg or .jpeg file"},
		{"damaged", func(root string, cfg *Folder) error {
			return os.WriteFile(filepath.Join(root, "b", "1.png"), []byte("GIF89a"), 0o644)
		}, "1.png: image: unknown format, want PNG or JPEG"},
		{"cut off", func(root string, cfg *Folder) error { return os.Truncate(filepath.Join(root, "b", "1.png"), 60) }, "1.png: "},
		{"other size", func(root string, cfg *Folder) error { cfg.ImageSize = 0; return nil }, "9 x 9 pixels, but "},
		{"absurd size", func(root string, cfg *Folder) error { cfg.ImageSize = 1 << 20; return nil }, "image_size = 1048576 is out of range"},
		{"too few", func(root string, cfg *Folder) error { return nil }, "2 images leave 2 for training and 0 for validation"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			writeImage(t, filepath.Join(root, "a", "1.png"), 8, 8, color.Black)
			writeImage(t, filepath.Join(root, "b", "1.png"), 9, 9, color.Black)
			cfg := DefaultFolder()
			cfg.Root, cfg.ImageSize = root, 8
			if err := test.change(root, &cfg); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestScaleAndCrop: the values are those of torch.nn.functional.interpolate(mode="bilinear", antialias=True) on bytes.
func TestScaleAndCrop(t *testing.T) {
	for _, test := range []struct {
		h, w, n int
		want    []uint8
	}{
		{9, 13, 4, []uint8{110, 122, 124, 149, 141, 147, 148, 121, 138, 134, 150, 124, 131, 128, 152, 114}},
		{12, 5, 4, []uint8{131, 165, 164, 129, 133, 119, 139, 141, 180, 125, 165, 109, 94, 144, 96, 158}},
		{3, 4, 6, []uint8{23, 68, 114, 159, 141, 58, 33, 80, 127, 174, 158, 76, 53, 103, 154, 204, 191, 113, 73, 127, 164, 186, 176, 133,
			93, 150, 159, 120, 113, 138, 103, 162, 156, 87, 81, 140}},
	} {
		plane := make([]uint8, test.h*test.w)
		for y := range test.h {
			for x := range test.w {
				plane[y*test.w+x] = uint8(y*37 + x*91 + x*y*13)
			}
		}
		got := make([]uint8, test.n*test.n)
		Scaling{}.scale(got, plane, test.h, test.w, test.n)
		near := cmp.Comparer(func(a, b uint8) bool { return max(a, b)-min(a, b) <= 1 })
		if diff := cmp.Diff(test.want, got, near); diff != "" {
			t.Errorf("%d x %d to %d: (-torch +got)\n%s", test.h, test.w, test.n, diff)
		}
	}
}

// TestStretch: the values are those of Image.resize of Pillow 12, whatever the sides.
func TestStretch(t *testing.T) {
	for filter, test := range map[string]struct {
		h, w, n int
		want    []uint8
	}{
		"bicubic": {9, 13, 4, []uint8{113, 116, 149, 126, 141, 149, 136, 103, 140, 139, 139, 108, 126, 142, 132, 122}},
		"":        {12, 5, 4, []uint8{73, 159, 134, 120, 141, 133, 150, 130, 105, 149, 129, 131, 104, 109, 102, 130}},
		"lanczos": {3, 4, 6, []uint8{0, 25, 114, 177, 86, 0, 4, 31, 129, 215, 116, 7, 18, 50, 157, 255, 160, 42, 42, 95, 181, 211, 161, 114,
			55, 132, 183, 101, 117, 169, 62, 151, 180, 35, 88, 195}},
	} {
		plane := make([]uint8, test.h*test.w)
		for y := range test.h {
			for x := range test.w {
				plane[y*test.w+x] = uint8(y*37 + x*91 + x*y*13)
			}
		}
		how, got := Scaling{Stretch: true, Filter: filter}, make([]uint8, test.n*test.n)
		how.scale(got, plane, test.h, test.w, test.n)
		near := cmp.Comparer(func(a, b uint8) bool { return max(a, b)-min(a, b) <= 1 })
		if diff := cmp.Diff(test.want, got, near); diff != "" || how.Check() != nil {
			t.Errorf("%s: %v, (-Pillow +got)\n%s", filter, how.Check(), diff)
		}
	}
	if err := (Scaling{Filter: "box"}).Check(); err == nil || !strings.Contains(err.Error(), "want one of bilinear") {
		t.Errorf("filter box: %v", err)
	}
}

// TestLongImage: of an image one pixel wide only the middle that is kept takes memory.
func TestLongImage(t *testing.T) {
	const h, n = 1 << 20, 64
	plane := make([]uint8, h)
	for y := range plane {
		plane[y] = uint8(255 * (2 * y / h)) // black above the middle, white below
	}
	dst := make([]uint8, n*n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Scaling{}.scale(dst, plane, h, 1, n)
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > h {
		t.Errorf("%d x 1 to %d: %d bytes taken, want less than the image has", h, n, taken)
	}
	if dst[0] > 4 || dst[n*n-1] < 251 {
		t.Errorf("%d x 1 to %d: corners %d and %d, want about black and white", h, n, dst[0], dst[n*n-1])
	}
}

// TestCIFAR reads real JPEG files where they are present.
func TestCIFAR(t *testing.T) {
	folder := os.Getenv("SPARROW_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	archive, err := os.Open(filepath.Join(folder, "cifar10-jpg-subset", "cifar10-jpg-subset.tar"))
	if err != nil {
		t.Skipf("no CIFAR images, TestImageFolder reads small ones: %v", err)
	}
	defer archive.Close()
	root := t.TempDir()
	for reader, n := tar.NewReader(archive), 0; ; n++ {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg || n%4 != 0 || !filepath.IsLocal(header.Name) {
			continue
		}
		path := filepath.Join(root, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg := DefaultFolder()
	cfg.Root, cfg.ValidationShare = root, 0.1
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Labels) != 10 || d.Train.Height != 32 || d.Train.Len() < 900 || d.Test == nil {
		t.Errorf("%s", d.Describe())
	}
	t.Log(d.Describe())
}
