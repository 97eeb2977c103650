package foreign

import (
	"fmt"
	"io"
	"math"
)

// Source is a tensor to be written, of which the values are asked for once, when their turn comes.
type Source struct {
	Name  string
	Shape []int
	Type  *Type // in the file

	// Values gives the float32 values that are rounded to Type; Raw, where Values is nil, gives the stored bytes.
	Values func() ([]float32, error)
	Raw    func() ([]byte, error)
}

// Check returns how many bytes the tensor takes, or what makes it impossible to write.
func (s Source) Check() (int, error) {
	if err := CheckName(s.Name); err != nil {
		return 0, err
	}
	size, err := s.Type.Bytes(s.Shape)
	if err != nil {
		return 0, fmt.Errorf("tensor %s %w", Quote(s.Name), err)
	}
	if s.Values != nil && s.Type.Encode == nil {
		return 0, fmt.Errorf("tensor %s: type %s is not written from float32", Quote(s.Name), s.Type.Name)
	}
	return size, nil
}

// WriteTo writes the tensor's bytes, little-endian.
func (s Source) WriteTo(w io.Writer) (int64, error) {
	size, err := s.Check()
	if err != nil {
		return 0, err
	}
	if s.Values == nil {
		raw, err := s.Raw()
		if err != nil {
			return 0, err
		}
		if len(raw) != size {
			return 0, fmt.Errorf("tensor %s has %d bytes; want %d for %s %v", Quote(s.Name), len(raw), size, s.Type.Name, s.Shape)
		}
		n, err := w.Write(raw)
		return int64(n), err
	}
	values, err := s.Values()
	if err != nil {
		return 0, err
	}
	if want := size / s.Type.Size * s.Type.Block; len(values) != want {
		return 0, fmt.Errorf("tensor %s has %d values; want %d for shape %v", Quote(s.Name), len(values), want, s.Shape)
	}
	return s.encode(w, values)
}

func (s Source) encode(w io.Writer, values []float32) (written int64, err error) {
	buf := make([]byte, min(len(values), piece)/s.Type.Block*s.Type.Size)
	for len(values) > 0 {
		part := values[:min(len(values), piece)]
		if err := s.within(part); err != nil {
			return written, err
		}
		out := buf[:len(part)/s.Type.Block*s.Type.Size]
		s.Type.Encode(out, part)
		n, err := w.Write(out)
		written += int64(n)
		if err != nil {
			return written, err
		}
		values = values[len(part):]
	}
	return written, nil
}

// within refuses values that the type cannot hold, rather than make them infinite.
func (s Source) within(values []float32) error {
	if s.Type.Limit == 0 {
		return nil
	}
	for _, v := range values {
		if !(math.Abs(float64(v)) <= float64(s.Type.Limit)) {
			return fmt.Errorf("tensor %s has the value %g, which %s cannot hold: the largest is %g", Quote(s.Name), v, s.Type.Name, s.Type.Limit)
		}
	}
	return nil
}
