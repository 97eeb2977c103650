package foreign

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Map returns a regular file's bytes, mapped where the system can do that and read otherwise, and what frees them. They
// may not be written. A file that another program cuts short while it is mapped ends this one.
func Map(path string) (data []byte, free func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, Fail(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, Fail(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, Fail(path, errors.New("is not a regular file"))
	}
	if info.Size() > math.MaxInt {
		return nil, nil, Fail(path, fmt.Errorf("has %d bytes, which is more than memory can address", info.Size()))
	}
	nothing := func() error { return nil }
	size := int(info.Size())
	if size == 0 {
		return nil, nothing, nil
	}
	if data, free, err := mapFile(f, size); err == nil {
		return data, free, nil
	}
	// Some file systems map nothing.
	data = make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, Fail(path, err)
	}
	return data, nothing, nil
}

// Open maps a file and parses it, and closes it with the set that parse makes of it.
func Open(path string, parse func(data []byte) (*Set, error)) (*Set, error) {
	data, free, err := Map(path)
	if err != nil {
		return nil, err
	}
	s, err := parse(data)
	if err != nil {
		_ = free()
		return nil, Fail(path, err)
	}
	s.close = append(s.close, free)
	return s, nil
}
