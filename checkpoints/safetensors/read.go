package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sparrow/checkpoints/foreign"
)

// File is an open safetensors file, or several with their index.
type File struct {
	*foreign.Set
	Metadata map[string]string // as the file says; nil for several files
}

// Open maps a .safetensors file, or the files that an index (ending in .json) names. Errors match [foreign.ErrFile].
func Open(path string) (*File, error) {
	if strings.HasSuffix(path, ".json") {
		set, err := foreign.OpenShards(path, func(shard string) (*foreign.Set, error) {
			f, err := openOne(shard)
			if err != nil {
				return nil, err
			}
			return f.Set, nil
		})
		if err != nil {
			return nil, err
		}
		return &File{Set: set}, nil
	}
	return openOne(path)
}

func openOne(path string) (*File, error) {
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

// maxHeader is the format's own limit.
const maxHeader = 100 << 20

// Parse reads a whole file that lies in memory; the tensors share it.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("has %d bytes; a safetensors file has at least 8", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > uint64(len(data)-8) || n > maxHeader {
		return nil, fmt.Errorf("says that its header has %d bytes, of %d in the file and at most %d", n, len(data)-8, maxHeader)
	}
	header, values := data[8:8+n], data[8+n:]
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("has a header that does not begin with {: it is not a safetensors file")
	}
	if !utf8.Valid(header) {
		return nil, errors.New("has a header that is not UTF-8")
	}
	h := headerReader{json.NewDecoder(bytes.NewReader(header))}
	h.UseNumber()
	places, metadata, err := h.read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	// Nothing may overlap, and no byte may belong to nothing: then the header says all there is.
	slices.SortStableFunc(places, func(a, b place) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end
	})
	tensors := make([]foreign.Tensor, 0, len(places))
	at := 0
	for _, p := range places {
		if p.begin != at || p.end < p.begin || p.end > len(values) {
			return nil, fmt.Errorf("tensor %s lies at bytes %d to %d; want it to begin at %d, where the one before ends, and to end by %d",
				foreign.Quote(p.name), p.begin, p.end, at, len(values))
		}
		t, err := foreign.NewTensor(p.name, p.dtype, p.shape, values[p.begin:p.end:p.end])
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
		at = p.end
	}
	if at != len(values) {
		return nil, fmt.Errorf("has %d bytes after the last tensor", len(values)-at)
	}
	set, err := foreign.NewSet(tensors, nil)
	if err != nil {
		return nil, err
	}
	return &File{Set: set, Metadata: metadata}, nil
}

// place is what a header says of a tensor; begin and end count from the end of the header.
type place struct {
	name       string
	dtype      *foreign.Type
	shape      []int
	begin, end int
}

// headerReader takes a header apart token by token: package json alone would keep the last of two equal names, and take
// many times the header's size for one that is not what it should be.
type headerReader struct{ *json.Decoder }

func (h headerReader) read() (places []place, metadata map[string]string, err error) {
	err = h.object(func(name string) error {
		if name == "__metadata__" {
			if metadata != nil {
				return errors.New("has __metadata__ twice")
			}
			metadata = map[string]string{}
			return h.object(func(key string) error {
				if _, twice := metadata[key]; twice {
					return fmt.Errorf("has %s twice in __metadata__", foreign.Quote(key))
				}
				value, err := h.text()
				metadata[key] = value
				return err
			})
		}
		p, err := h.place(name)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", foreign.Quote(name), err)
		}
		places = append(places, p)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := h.Token(); err != io.EOF { // the padding after the header's end is white space
		return nil, nil, errors.New("has text after its end")
	}
	return places, metadata, nil
}

func (h headerReader) place(name string) (p place, err error) {
	p.name = name
	seen := map[string]bool{}
	err = h.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("has %s twice", foreign.Quote(key))
		}
		seen[key] = true
		switch key {
		case "dtype":
			text, err := h.text()
			if err != nil {
				return err
			}
			p.dtype, err = typeNamed(text)
			return err
		case "shape":
			p.shape, err = h.numbers(foreign.MaxDims)
			return err
		case "data_offsets":
			at, err := h.numbers(2)
			if err != nil {
				return err
			}
			if len(at) != 2 {
				return fmt.Errorf("has %d data_offsets; want 2", len(at))
			}
			p.begin, p.end = at[0], at[1]
			return nil
		}
		return fmt.Errorf("has the unknown key %s", foreign.Quote(key))
	})
	if err == nil && len(seen) != 3 {
		err = errors.New("wants dtype, shape and data_offsets")
	}
	return p, err
}

func typeNamed(name string) (*foreign.Type, error) {
	var known []string
	for _, t := range foreign.Plain() {
		if t.Name == name {
			return t, nil
		}
		known = append(known, t.Name)
	}
	return nil, fmt.Errorf("has dtype %s; want one of %s", foreign.Quote(name), strings.Join(known, ", "))
}

// object reads an object, whose values each reads.
func (h headerReader) object(each func(key string) error) error {
	if err := h.delimiter('{'); err != nil {
		return err
	}
	for h.More() {
		key, err := h.text()
		if err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return h.delimiter('}')
}

// numbers reads an array of at most most numbers that are not negative.
func (h headerReader) numbers(most int) ([]int, error) {
	if err := h.delimiter('['); err != nil {
		return nil, err
	}
	all := []int{}
	for h.More() {
		token, err := h.Token()
		if err != nil {
			return nil, unreadable(err)
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("has %s; want a number", describe(token))
		}
		n, err := strconv.ParseInt(string(number), 10, strconv.IntSize)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("has the number %s; want a whole one from 0 to 2^63 - 1", foreign.Quote(string(number)))
		}
		if len(all) == most {
			return nil, fmt.Errorf("has more than %d numbers in an array", most)
		}
		all = append(all, int(n))
	}
	return all, h.delimiter(']')
}

func (h headerReader) text() (string, error) {
	token, err := h.Token()
	if err != nil {
		return "", unreadable(err)
	}
	text, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("has %s; want text in quotes", describe(token))
	}
	return text, nil
}

func (h headerReader) delimiter(want json.Delim) error {
	token, err := h.Token()
	if err != nil {
		return unreadable(err)
	}
	if token != want {
		return fmt.Errorf("has %s; want %s", describe(token), want)
	}
	return nil
}

func describe(token json.Token) string { return foreign.Quote(fmt.Sprint(token)) }

// unreadable is an error of package json, whose syntax errors quote one character.
func unreadable(err error) error { return fmt.Errorf("is not JSON as it should be: %w", err) }
