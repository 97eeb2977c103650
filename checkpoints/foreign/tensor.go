package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Tensor is a named tensor of a foreign file, of which it reads when it is asked. It is valid until its [Set] is
// closed, and so is whatever shares the file's memory.
type Tensor struct {
	Name  string
	Shape []int // outermost dimension first, as in PyTorch; empty for a scalar
	Type  *Type

	data    []byte
	strides []int // in elements; nil: row-major
}

// maxName is more than any name takes.
const maxName = 1000

// CheckName refuses names that no model has: empty, longer than 1,000 bytes, not UTF-8, with control characters.
func CheckName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("tensor name %s is not usable; want 1 to %d bytes of UTF-8", Quote(name), maxName)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("tensor name %s is not usable; want no control characters", Quote(name))
		}
	}
	return nil
}

// NewTensor is a tensor over data, which must have exactly the bytes that the type and shape call for.
func NewTensor(name string, t *Type, shape []int, data []byte) (Tensor, error) {
	if err := CheckName(name); err != nil {
		return Tensor{}, err
	}
	want, err := t.Bytes(shape)
	if err != nil {
		return Tensor{}, fmt.Errorf("tensor %s %w", Quote(name), err)
	}
	if len(data) != want {
		return Tensor{}, fmt.Errorf("tensor %s has %d bytes; want %d for %s %v", Quote(name), len(data), want, t.Name, shape)
	}
	return Tensor{Name: name, Shape: shape, Type: t, data: data}, nil
}

// NewView is a tensor over a storage of a plain type: element i, j, ... is number offset + i strides[0] + j strides[1] +
// .... It may transpose or cut the storage, but not have more elements than it: values are as large as the file allows.
func NewView(name string, t *Type, shape, strides []int, offset int, storage []byte) (Tensor, error) {
	if err := CheckName(name); err != nil {
		return Tensor{}, err
	}
	size, err := t.Bytes(shape)
	if err != nil {
		return Tensor{}, fmt.Errorf("tensor %s %w", Quote(name), err)
	}
	if size > len(storage) {
		return Tensor{}, fmt.Errorf("tensor %s takes %d bytes of a storage of %d", Quote(name), size, len(storage))
	}
	elements := len(storage) / t.Size
	if len(strides) != len(shape) || offset < 0 || offset > elements {
		return Tensor{}, fmt.Errorf("tensor %s has strides %v and offset %d, which don't fit shape %v and a storage of %d elements", Quote(name), strides, offset, shape, elements)
	}
	if size == 0 {
		return Tensor{Name: name, Shape: shape, Type: t}, nil
	}
	last, rowMajor := offset, true
	step := size / t.Size // of the dimension before the one looked at, were it row-major
	for i, dim := range shape {
		step /= dim
		if dim == 1 {
			continue
		}
		if strides[i] < 0 || strides[i] > elements/(dim-1) {
			return Tensor{}, fmt.Errorf("tensor %s has strides %v and shape %v, which leave its storage of %d elements", Quote(name), strides, shape, elements)
		}
		last += strides[i] * (dim - 1) // at most MaxDims+1 times the storage's elements
		rowMajor = rowMajor && strides[i] == step
	}
	if last >= elements {
		return Tensor{}, fmt.Errorf("tensor %s ends at element %d of a storage of %d", Quote(name), last, elements)
	}
	from := offset * t.Size
	if rowMajor {
		return Tensor{Name: name, Shape: shape, Type: t, data: storage[from : from+size : from+size]}, nil
	}
	return Tensor{Name: name, Shape: shape, Type: t, data: storage[from : (last+1)*t.Size], strides: slices.Clone(strides)}, nil
}

// Elements is how many values the tensor has.
func (t Tensor) Elements() int {
	n := 1
	for _, dim := range t.Shape {
		n *= dim
	}
	return n
}

// Bytes is the tensor as it is stored, row-major, little-endian. It shares the file's memory, which may not be written,
// unless strides make a copy necessary.
func (t Tensor) Bytes() []byte {
	if t.strides == nil {
		return t.data
	}
	out := make([]byte, t.Elements()*t.Type.Size)
	t.gather(out, 0)
	return out
}

// Values is the tensor as float32, row-major. An F32 tensor that lies aligned in the file shares its memory, which may
// not be written.
func (t Tensor) Values() ([]float32, error) {
	n := t.Elements()
	if t.Type == F32 && t.strides == nil && n > 0 && littleEndian {
		if p := unsafe.Pointer(unsafe.SliceData(t.data)); uintptr(p)%4 == 0 {
			return unsafe.Slice((*float32)(p), n), nil
		}
	}
	if t.Type.Decode == nil {
		return nil, t.notNumbers()
	}
	out := make([]float32, n)
	return out, t.Read(out, 0)
}

// Read fills dst with the values from number first on; both are multiples of the type's block.
func (t Tensor) Read(dst []float32, first int) error {
	if t.Type.Decode == nil {
		return t.notNumbers()
	}
	n, block, size := t.Elements(), t.Type.Block, t.Type.Size
	if first < 0 || first > n || len(dst) > n-first || first%block != 0 || len(dst)%block != 0 {
		return fmt.Errorf("tensor %s: values %d to %d were asked for; it has %d in blocks of %d", Quote(t.Name), first, first+len(dst), n, block)
	}
	if t.strides == nil {
		t.Type.Decode(dst, t.data[first/block*size:(first+len(dst))/block*size])
		return nil
	}
	raw := make([]byte, min(len(dst), piece)*size)
	for len(dst) > 0 {
		m := min(len(dst), piece)
		t.gather(raw[:m*size], first)
		t.Type.Decode(dst[:m], raw[:m*size])
		dst, first = dst[m:], first+m
	}
	return nil
}

// piece is how many elements are gathered or encoded at a time: a multiple of every block, small beside a tensor.
const piece = 64 << 10

func (t Tensor) notNumbers() error {
	return fmt.Errorf("tensor %s is of type %s, which is not read as float32", Quote(t.Name), t.Type.Name)
}

// gather copies the elements from number first on, in row-major order, into dst.
func (t Tensor) gather(dst []byte, first int) {
	size := t.Type.Size
	at := make([]int, len(t.Shape))
	from := 0
	for i := len(t.Shape) - 1; i >= 0; i-- {
		at[i] = first % t.Shape[i]
		first /= t.Shape[i]
		from += at[i] * t.strides[i]
	}
	for ; len(dst) > 0; dst = dst[size:] {
		copy(dst[:size], t.data[from*size:])
		for i := len(at) - 1; i >= 0; i-- {
			at[i]++
			from += t.strides[i]
			if at[i] < t.Shape[i] {
				break
			}
			from -= at[i] * t.strides[i]
			at[i] = 0
		}
	}
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Set is the tensors of a file or of several, in the files' order.
type Set struct {
	tensors []Tensor
	byName  map[string]int
	close   []func() error
}

// NewSet is a set of tensors; no two may have one name. close, which may be nil, frees the memory under them.
func NewSet(tensors []Tensor, close func() error) (*Set, error) {
	s := &Set{tensors: tensors, byName: make(map[string]int, len(tensors))}
	for i, t := range tensors {
		if _, twice := s.byName[t.Name]; twice {
			return nil, fmt.Errorf("two tensors have the name %s", Quote(t.Name))
		}
		s.byName[t.Name] = i
	}
	if close != nil {
		s.close = append(s.close, close)
	}
	return s, nil
}

// Tensors lists the tensors in the file's order.
func (s *Set) Tensors() []Tensor { return s.tensors }

// Tensor is the tensor of a name.
func (s *Set) Tensor(name string) (Tensor, bool) {
	i, ok := s.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return s.tensors[i], true
}

// Close gives the files' memory back: tensors and what shares their memory may not be used any more.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.close {
		errs = append(errs, c())
	}
	s.close, s.tensors, s.byName = nil, nil, nil
	return errors.Join(errs...)
}
