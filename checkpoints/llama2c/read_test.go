package llama2c

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/foreign/foreigntest"
	"sparrow/checkpoints/safetensors"
)

var small = Config{DModel: 8, DHidden: 12, NLayer: 2, NHead: 2, NKVHead: 1, VocabSize: 5, SeqLen: 6}

func TestReadsEveryVersion(t *testing.T) {
	for name, test := range map[string]struct {
		file, truth string
		version     int
		tied        bool
		group       int
	}{
		"legacy":    {"legacy.bin", "truth.safetensors", 0, false, 0},
		"tied":      {"tied.bin", "truth.safetensors", 0, true, 0},
		"version 1": {"version1.bin", "truth.safetensors", 1, true, 0},
		"version 2": {"version2.bin", "rounded.safetensors", 2, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open("testdata/" + test.file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			config := small
			config.Version, config.Tied, config.Group = test.version, test.tied, test.group
			if f.Config != config {
				t.Errorf("config is %+v; want %+v", f.Config, config)
			}
			truth, err := safetensors.Open("testdata/" + test.truth)
			if err != nil {
				t.Fatal(err)
			}
			defer truth.Close()
			seen := 0
			for _, want := range truth.Tensors() {
				got, ok := f.Tensor(want.Name)
				if test.tied && want.Name == "output.weight" {
					if ok {
						t.Error("there is an output of its own")
					}
					continue
				}
				seen++
				if !ok || !slices.Equal(got.Shape, want.Shape) {
					t.Errorf("%s: is there: %v, shape %v; want %v", want.Name, ok, got.Shape, want.Shape)
					continue
				}
				g, err := got.Values()
				if err != nil {
					t.Fatal(err)
				}
				w, err := want.Values()
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(g, w) {
					t.Errorf("%s is %v; want %v", want.Name, g, w)
				}
			}
			if len(f.Tensors()) != seen {
				t.Errorf("there are %d tensors; want %d", len(f.Tensors()), seen)
			}
		})
	}
}

func TestTokenizer(t *testing.T) {
	got, err := OpenTokenizer("testdata/tokenizer.bin")
	if err != nil {
		t.Fatal(err)
	}
	want := []Piece{{"<unk>", 0}, {"\n<s>\n", 0}, {"<0x00>", 0}, {" a", -1}, {"é", -2.5}}
	if !slices.Equal(got, want) {
		t.Errorf("pieces are %+v; want %+v", got, want)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// with is the file with another number at a place of its header.
func with(data []byte, at int, n int32) []byte {
	data = slices.Clone(data)
	binary.LittleEndian.PutUint32(data[at:], uint32(n))
	return data
}

func TestHostileFiles(t *testing.T) {
	legacy, one, two := read(t, "legacy.bin"), read(t, "version1.bin"), read(t, "version2.bin")
	const most = math.MaxInt32
	big := legacy[:28]
	for i := range 7 {
		big = with(big, 4*i, most)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                {nil, "a header has 28"},
		"27 bytes":             {legacy[:27], "a header has 28"},
		"text":                 {[]byte("version https://git-lfs.github.com/spec/v1"), "don't divide evenly"},
		"cut":                  {legacy[:len(legacy)-1], "fewer bytes"},
		"too long":             {append(slices.Clone(legacy), 0), "1 bytes more"},
		"cut header":           {one[:255], "its header alone has 256"},
		"version 3":            {with(one, 4, 3), "version 3"},
		"version -1":           {with(one, 4, -1), "version -1"},
		"version 0":            {with(one, 4, 0), "version 0"},
		"width 0":              {with(legacy, 0, 0), "not a file of llama2.c"},
		"negative layers":      {with(legacy, 8, -2), "not a file of llama2.c"},
		"all the largest":      {big, "don't divide evenly"},
		"2^31 - 1 layers":      {with(legacy, 8, most), "fewer bytes"},
		"the largest widths":   {with(with(legacy, 0, 1<<30), 4, most), "fewer bytes"},
		"3 heads":              {with(legacy, 12, 3), "don't divide evenly"},
		"8 heads of 1":         {with(legacy, 12, 8), "don't divide evenly"},
		"3 key heads":          {with(legacy, 16, 3), "don't divide evenly"},
		"vocabulary of -2^31":  {with(legacy, 20, math.MinInt32), "not a file of llama2.c"},
		"a large vocabulary":   {with(legacy, 20, most), "fewer bytes"},
		"a long length":        {with(legacy, 24, most), "fewer bytes"},
		"a shorter length":     {with(legacy, 24, 5), "16 bytes more"},
		"groups of 0":          {with(two, 37, 0), "groups of 0"},
		"negative groups":      {with(two, 37, -4), "groups of -4"},
		"groups of 3":          {with(two, 37, 3), "don't divide rows of 8"},
		"groups of 8":          {with(two, 37, 8), "don't divide rows of 12"},
		"2^31 - 1 in groups":   {with(two, 16, most), "fewer bytes"},
		"version 1 as 2":       {with(with(one, 4, 2), 37, 4), "more"},
		"version 2 as 1":       {with(two, 4, 1), "fewer bytes"},
		"version 2 cut in two": {two[:len(two)/2], "fewer bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			foreigntest.Bounded(t, len(test.data), func() { _, err = Parse(test.data) })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
}

func TestHostileTokenizers(t *testing.T) {
	good := read(t, "tokenizer.bin")
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "at least 4"},
		"cut in a piece":    {good[:len(good)-1], "piece 4 has 2 bytes, of 1 left"},
		"cut before one":    {good[:len(good)-5], "ends within piece 4"},
		"longer than most":  {with(good, 0, 3), "at most 3"},
		"negative length":   {with(good, 8, -1), "piece 0 has -1 bytes"},
		"2^31 - 1 bytes":    {with(with(good, 0, math.MaxInt32), 8, math.MaxInt32), "piece 0 has 2147483647 bytes"},
		"score of no value": {with(good, 4, 0x7fc00000), "no number"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			foreigntest.Bounded(t, len(test.data), func() { _, err = ParseTokenizer(test.data) })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
	if _, err := OpenTokenizer("testdata/missing.bin"); !errors.Is(err, foreign.ErrFile) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error of a missing file is %v", err)
	}
}

// FuzzParse: any file is read or refused, in memory of its own size class, and what is read has values.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"legacy.bin", "tied.bin", "version1.bin", "version2.bin"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		foreigntest.Bounded(t, len(data), func() {
			file, err := Parse(data)
			if err != nil {
				return
			}
			for _, x := range file.Tensors() {
				if _, err := x.Values(); err != nil {
					t.Errorf("%s: %v", x.Name, err)
				}
			}
		})
	})
}

// FuzzTokenizer is the same for tokenizers.
func FuzzTokenizer(f *testing.F) {
	f.Add(read(f, "tokenizer.bin"))
	f.Fuzz(func(t *testing.T, data []byte) {
		foreigntest.Bounded(t, len(data), func() { _, _ = ParseTokenizer(data) })
	})
}
