package interpret

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"sparrow/factor"
)

// spool holds vectors in a temporary file, so that they need not fit in memory. It is a factor.Rows.
type spool struct {
	file     *os.File
	n, width int
	bytes    []byte
	block    []float64
}

// newSpool makes an empty one.
func newSpool(width int) (*spool, error) {
	f, err := os.CreateTemp("", "activations-*")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) // it ends with the process
	return &spool{file: f, width: width}, nil
}

// add appends a vector.
func (s *spool) add(row []float32) error {
	s.bytes = s.bytes[:0]
	for _, x := range row {
		if x-x != 0 {
			return fmt.Errorf("interpret: token %d has an activation of %v: the weights are damaged or their training diverged", s.n, x)
		}
		s.bytes = binary.LittleEndian.AppendUint32(s.bytes, math.Float32bits(x))
	}
	if _, err := s.file.WriteAt(s.bytes, int64(s.n)*int64(4*s.width)); err != nil {
		return fmt.Errorf("interpret: activations in %s: %w", os.TempDir(), err)
	}
	s.n++
	return nil
}

// Size implements factor.Rows.
func (s *spool) Size() (n, width int) { return s.n, s.width }

// Block implements factor.Rows.
func (s *spool) Block(at, count int) (*factor.Matrix, error) {
	size := count * s.width
	if cap(s.bytes) < 4*size {
		s.bytes = make([]byte, 4*size)
	}
	if cap(s.block) < size {
		s.block = make([]float64, size)
	}
	b, x := s.bytes[:4*size], s.block[:size]
	if _, err := s.file.ReadAt(b, int64(at)*int64(4*s.width)); err != nil {
		return nil, fmt.Errorf("interpret: activations: %w", err)
	}
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return &factor.Matrix{Rows: count, Cols: s.width, Data: x}, nil
}

func (s *spool) close() { s.file.Close() }
