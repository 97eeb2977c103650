package gguf

import (
	"errors"
	"fmt"

	"sparrow/checkpoints/foreign"
)

// File is an open GGUF file.
type File struct {
	*foreign.Set
	Metadata Metadata
}

// Open maps a file. Errors match [foreign.ErrFile].
func Open(path string) (*File, error) {
	f := &File{}
	set, err := foreign.Open(path, func(data []byte) (*foreign.Set, error) {
		parsed, err := Parse(data)
		if err != nil {
			return nil, err
		}
		f.Metadata = parsed.Metadata
		return parsed.Set, nil
	})
	if err != nil {
		return nil, err
	}
	f.Set = set
	return f, nil
}

// A pair takes at least its key's length, a byte of key, its kind and a byte of value; a tensor its name's length, a
// byte of name, the number of dimensions, type and offset.
const (
	leastPair   = 8 + 1 + 4 + 1
	leastTensor = 8 + 1 + 4 + 4 + 8
	maxDims     = 4 // llama.cpp's own limit
)

// defaultAlignment is the format's; alignmentKey's value says otherwise.
const (
	defaultAlignment = 32
	alignmentKey     = "general.alignment"
	maxAlignment     = 1 << 20
)

// Parse reads a whole file that lies in memory; the tensors share it.
func Parse(data []byte) (*File, error) {
	if len(data) < 4 || string(data[:4]) != "GGUF" {
		return nil, errors.New("does not begin with GGUF: it is not such a file")
	}
	s := &scanner{data: data, at: 4}
	switch version := s.uint32(); {
	case s.err != nil:
		return nil, s.err
	case version != 0 && version&0xffff == 0:
		return nil, errors.New("is a big-endian GGUF file; want a little-endian one")
	case version != 2 && version != 3:
		return nil, fmt.Errorf("is GGUF version %d; want 2 or 3", version)
	}
	tensors := s.count("tensors", leastTensor)
	metadata, err := s.metadata()
	if err != nil {
		return nil, err
	}
	alignment, err := metadata.alignment()
	if err != nil {
		return nil, err
	}
	if tensors > s.left()/leastTensor {
		return nil, fmt.Errorf("says that it has %d tensors, which the %d bytes after its metadata cannot hold", tensors, s.left())
	}
	infos := make([]info, 0, tensors)
	for range tensors {
		in, err := s.info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, in)
	}
	var values []byte
	if start := padded(s.at, alignment); start < len(data) {
		values = data[start:]
	}
	return place(metadata, infos, values, alignment)
}

func (s *scanner) metadata() (Metadata, error) {
	n := s.count("metadata pairs", leastPair)
	if s.err != nil {
		return nil, s.err
	}
	metadata := make(Metadata, 0, n)
	seen := make(map[string]bool, n)
	for range n {
		p := s.pair()
		if s.err != nil {
			return nil, s.err
		}
		if seen[p.Key] {
			return nil, fmt.Errorf("has the metadata %s twice", foreign.Quote(p.Key))
		}
		seen[p.Key] = true
		metadata = append(metadata, p)
	}
	return metadata, nil
}

func (m Metadata) alignment() (int, error) {
	value := m.Get(alignmentKey)
	if value == nil {
		return defaultAlignment, nil
	}
	n, ok := value.(uint32)
	if !ok || n == 0 || n&(n-1) != 0 || n > maxAlignment {
		return 0, fmt.Errorf("has %s %v (%T); want a power of 2 up to %d as uint32", alignmentKey, foreign.Quote(fmt.Sprint(value)), value, maxAlignment)
	}
	return int(n), nil
}

// info is what the head says of a tensor; offset counts from the first tensor's.
type info struct {
	name   string
	dtype  *foreign.Type
	shape  []int
	offset uint64
}

func (s *scanner) info() (in info, err error) {
	in.name = s.text()
	dims := s.uint32()
	if s.err == nil && dims > maxDims {
		return in, fmt.Errorf("tensor %s has %d dimensions; want at most %d", foreign.Quote(in.name), dims, maxDims)
	}
	in.shape = make([]int, dims)
	for i := range in.shape {
		dim := s.uint64()
		if dim > 1<<62 {
			return in, fmt.Errorf("tensor %s has a dimension of %d", foreign.Quote(in.name), dim)
		}
		in.shape[len(in.shape)-1-i] = int(dim) // the file has the innermost first
	}
	number := s.uint32()
	in.offset = s.uint64()
	if s.err != nil {
		return in, s.err
	}
	if in.dtype, err = typeNumbered(number); err != nil {
		return in, fmt.Errorf("tensor %s %w", foreign.Quote(in.name), err)
	}
	return in, nil
}

// place finds each tensor's bytes. They follow each other, each at a multiple of the alignment, as llama.cpp wants it.
func place(metadata Metadata, infos []info, values []byte, alignment int) (*File, error) {
	tensors := make([]foreign.Tensor, 0, len(infos))
	next := 0
	for _, in := range infos {
		size, err := in.dtype.Bytes(in.shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %s %w", foreign.Quote(in.name), err)
		}
		if in.offset != uint64(next) {
			return nil, fmt.Errorf("tensor %s lies at %d; want %d, the first multiple of %d after the one before", foreign.Quote(in.name), in.offset, next, alignment)
		}
		if size > len(values)-min(next, len(values)) {
			return nil, fmt.Errorf("tensor %s takes %d bytes from %d on, and there are %d", foreign.Quote(in.name), size, next, len(values))
		}
		var data []byte
		if size > 0 {
			data = values[next : next+size : next+size]
		}
		t, err := foreign.NewTensor(in.name, in.dtype, in.shape, data)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
		next = padded(next+size, alignment)
	}
	set, err := foreign.NewSet(tensors, nil)
	if err != nil {
		return nil, err
	}
	return &File{Set: set, Metadata: metadata}, nil
}

// padded is the first multiple of alignment, a power of 2, that is not below n.
func padded(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }
