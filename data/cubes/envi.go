package cubes

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// enviTypes are ENVI's numbers of what is read.
var enviTypes = map[int]uint32{1: miUint8, 2: miInt16, 3: miInt32, 4: miSingle, 5: miDouble, 12: miUint16, 13: miUint32, 14: miInt64, 15: miUint64}

// enviHeader is the text file that tells what is in the binary one.
type enviHeader struct {
	samples, lines, bands int
	offset, kind          int
	bigEndian             bool
	interleave            string
	wavelengths           []float64
}

// readENVIHeader reads fields of the form name = value or name = { values }.
func readENVIHeader(r io.Reader) (h enviHeader, err error) {
	text, err := io.ReadAll(io.LimitReader(r, 1<<22))
	if err != nil {
		return h, err
	}
	if !strings.HasPrefix(string(text), "ENVI") {
		return h, fmt.Errorf("%w: the first line is not ENVI", ErrFile)
	}
	fields := map[string]string{}
	lines := strings.Split(string(text), "\n")
	for i := 1; i < len(lines); i++ {
		name, value, ok := strings.Cut(lines[i], "=")
		if !ok {
			continue
		}
		for strings.Contains(value, "{") && !strings.Contains(value, "}") && i+1 < len(lines) {
			i++
			value += " " + lines[i]
		}
		fields[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(strings.TrimSpace(value), "{} ")
	}
	number := func(name string, low, high, missing int) int {
		value, ok := fields[name]
		if !ok && missing >= 0 {
			return missing
		}
		n, bad := strconv.Atoi(value)
		if err == nil && (bad != nil || n < low || n > high) {
			err = fmt.Errorf("%w: ENVI header: %s = %q; want %d to %d", ErrFile, name, value, low, high)
		}
		return n
	}
	h.samples, h.lines, h.bands = number("samples", 1, 1<<24, -1), number("lines", 1, 1<<24, -1), number("bands", 1, 1<<16, -1)
	h.offset, h.kind = number("header offset", 0, 1<<30, 0), number("data type", 1, 15, -1)
	h.bigEndian = number("byte order", 0, 1, 0) == 1
	h.interleave = strings.ToLower(fields["interleave"])
	switch {
	case err != nil:
		return h, err
	case enviTypes[h.kind] == 0:
		return h, fmt.Errorf("%w: ENVI header: data type = %d; want 1, 2, 3, 4, 5, 12, 13, 14 or 15, which are real numbers", ErrFile, h.kind)
	case !slices.Contains([]string{"bsq", "bil", "bip"}, h.interleave):
		return h, fmt.Errorf("%w: ENVI header: interleave = %q; want bsq, bil or bip", ErrFile, h.interleave)
	case h.samples > maxValues/h.lines || h.samples*h.lines > maxValues/h.bands:
		return h, fmt.Errorf("%w: ENVI header: %d x %d pixels in %d bands; want at most %d values: cut a part out", ErrFile, h.lines, h.samples, h.bands, maxValues)
	}
	for _, word := range strings.FieldsFunc(fields["wavelength"], func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' }) {
		v, bad := strconv.ParseFloat(word, 64)
		if bad != nil {
			h.wavelengths = nil
			break
		}
		h.wavelengths = append(h.wavelengths, v)
	}
	if len(h.wavelengths) != h.bands || !slices.IsSorted(h.wavelengths) {
		h.wavelengths = nil
	}
	return h, nil
}

// read reads the binary file.
func (h enviHeader) read(r io.Reader) (*Cube, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if n, err := io.CopyN(io.Discard, in, int64(h.offset)); err != nil {
		return nil, fmt.Errorf("%w: the file ends after %d of the %d bytes before its values", ErrFile, n, h.offset)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.bigEndian {
		order = binary.BigEndian
	}
	values, err := readValues(in, h.samples*h.lines*h.bands, enviTypes[h.kind], order)
	if err != nil {
		return nil, fmt.Errorf("%w: %d x %d pixels in %d bands: %w", ErrFile, h.lines, h.samples, h.bands, err)
	}
	c := &Cube{Height: h.lines, Width: h.samples, Bands: h.bands, Data: values, Wavelengths: h.wavelengths}
	if h.interleave == "bip" {
		return c, nil
	}
	c.Data = make([]float64, len(values))
	for y := range h.lines {
		for b := range h.bands {
			at := (b*h.lines + y) * h.samples
			if h.interleave == "bil" {
				at = (y*h.bands + b) * h.samples
			}
			for x, v := range values[at : at+h.samples] {
				c.Data[(y*h.samples+x)*h.bands+b] = v
			}
		}
	}
	return c, nil
}

// enviData finds the binary file beside a header.
func enviData(header string) (string, error) {
	stem := strings.TrimSuffix(header, filepath.Ext(header))
	for _, ext := range []string{"", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip"} {
		if info, err := os.Stat(stem + ext); err == nil && info.Mode().IsRegular() {
			return stem + ext, nil
		}
	}
	return "", fmt.Errorf("%w: no file of values beside the header; want %s or %s.img, .dat, .raw, .bsq, .bil or .bip", ErrFile, stem, stem)
}
