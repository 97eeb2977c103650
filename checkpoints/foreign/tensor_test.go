package foreign

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

// storage is the numbers 0 to n-1 as F32.
func storage(n int) []byte {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i)
	}
	data := make([]byte, 4*n)
	encodeF32(data, values)
	return data
}

func TestViews(t *testing.T) {
	for name, test := range map[string]struct {
		shape, strides []int
		offset         int
		want           []float32
	}{
		"row-major":           {[]int{2, 3}, []int{3, 1}, 0, []float32{0, 1, 2, 3, 4, 5}},
		"transposed":          {[]int{3, 2}, []int{1, 3}, 0, []float32{0, 3, 1, 4, 2, 5}},
		"cut":                 {[]int{2, 2}, []int{3, 1}, 1, []float32{1, 2, 4, 5}},
		"every second":        {[]int{3}, []int{2}, 1, []float32{1, 3, 5}},
		"permuted":            {[]int{2, 2, 3}, []int{3, 6, 1}, 0, []float32{0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11}},
		"one row, any stride": {[]int{1, 3}, []int{1 << 62, 1}, 3, []float32{3, 4, 5}},
		"repeated":            {[]int{2, 2}, []int{0, 1}, 4, []float32{4, 5, 4, 5}},
		"scalar":              {[]int{}, []int{}, 7, []float32{7}},
		"empty":               {[]int{0, 3}, []int{3, 1}, 12, []float32{}},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := NewView("x", F32, test.shape, test.strides, test.offset, storage(12))
			if err != nil {
				t.Fatal(err)
			}
			got, err := x.Values()
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("values are %v, %v; want %v", got, err, test.want)
			}
			want := make([]byte, 4*len(test.want))
			encodeF32(want, test.want)
			if !bytes.Equal(x.Bytes(), want) {
				t.Errorf("bytes are % x", x.Bytes())
			}
			for first := range test.want { // parts are those of the whole
				part := make([]float32, len(test.want)-first)
				if err := x.Read(part, first); err != nil || !slices.Equal(part, test.want[first:]) {
					t.Errorf("from %d on: %v, %v; want %v", first, part, err, test.want[first:])
				}
			}
			if err := x.Read(make([]float32, 2), x.Elements()-1); err == nil {
				t.Error("reading past the end is no error")
			}
		})
	}
}

func TestViewsThatLeaveTheirStorage(t *testing.T) {
	for name, test := range map[string]struct {
		shape, strides []int
		offset         int
	}{
		"too many elements":     {[]int{13}, []int{0}, 0},
		"past the end":          {[]int{2, 3}, []int{9, 1}, 1},
		"offset past the end":   {[]int{1}, []int{1}, 12},
		"offset of a scalar":    {[]int{}, []int{}, 12},
		"negative offset":       {[]int{1}, []int{1}, -1},
		"negative stride":       {[]int{2}, []int{-1}, 5},
		"stride of 2^62":        {[]int{3}, []int{1 << 62}, 0},
		"strides that overflow": {[]int{2, 2, 3}, []int{1 << 62, 1 << 62, math.MaxInt}, 0},
		"a stride too few":      {[]int{2, 2}, []int{1}, 0},
		"negative dimension":    {[]int{-2, -2}, []int{1, 1}, 0},
		"shape that overflows":  {[]int{1 << 32, 1 << 32}, []int{0, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewView("x", F32, test.shape, test.strides, test.offset, storage(12)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestValuesOfUnalignedFloats(t *testing.T) {
	data := append([]byte{0}, storage(3)...)
	for from := range 2 {
		raw := storage(3)
		if from == 1 {
			raw = data[1:]
		}
		x, err := NewTensor("x", F32, []int{3}, raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.Values(); err != nil || !slices.Equal(got, []float32{0, 1, 2}) {
			t.Errorf("values are %v, %v", got, err)
		}
	}
}

func TestSetsHaveEachNameOnce(t *testing.T) {
	x, err := NewTensor("x", F32, nil, storage(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSet([]Tensor{x, x}, nil); err == nil || !strings.Contains(err.Error(), `two tensors have the name "x"`) {
		t.Errorf("error is %v", err)
	}
}

func TestQuoteIsShort(t *testing.T) {
	if got := Quote(strings.Repeat("\x00", 1<<20)); len(got) > 500 || !strings.HasSuffix(got, "(1048576 bytes)") {
		t.Errorf("Quote gives %d bytes: %s", len(got), got)
	}
}

func TestEncodingIsTheSameInPieces(t *testing.T) {
	values := make([]float32, 2*piece+7)
	for i := range values {
		values[i] = float32(i) / 8
	}
	var w bytes.Buffer
	s := Source{Name: "x", Shape: []int{len(values)}, Type: F32, Values: func() ([]float32, error) { return values, nil }}
	if n, err := s.WriteTo(&w); err != nil || n != int64(4*len(values)) {
		t.Fatalf("WriteTo gives %d, %v", n, err)
	}
	want := make([]byte, 4*len(values))
	encodeF32(want, values)
	if !bytes.Equal(w.Bytes(), want) {
		t.Error("the bytes differ")
	}
}
