package cubes

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// counted is the cube of testdata/make_mat.py: 100 row + 10 column + band, from 0.
func counted(scale, shift float64) *Cube {
	c := New(3, 4, 5)
	for y := range 3 {
		for x := range 4 {
			for b := range 5 {
				c.Data[(y*4+x)*5+b] = float64(100*y+10*x+b)*scale + shift
			}
		}
	}
	return c
}

func wantCube(t *testing.T, got, want *Cube) {
	t.Helper()
	if got.Height != want.Height || got.Width != want.Width || got.Bands != want.Bands {
		t.Fatalf("got %d x %d x %d, want %d x %d x %d", got.Height, got.Width, got.Bands, want.Height, want.Width, want.Bands)
	}
	for i, v := range want.Data {
		if got.Data[i] != v {
			t.Fatalf("value %d is %v, want %v", i, got.Data[i], v)
		}
	}
}

// Files of scipy and numpy: types, compression, orders of axes and bytes, and other variables beside the cube.
func TestOpen(t *testing.T) {
	for name, want := range map[string]*Cube{
		"int16.mat": counted(1, -50), "uint16.mat": counted(1, 0), "double.mat": counted(1.0/8, 0), "single.mat": counted(0.25, 0),
		"unrolled.mat": counted(1, 0), "fortran.npy": counted(1, 0), "big_endian.npy": counted(1, 0),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Open(filepath.Join("testdata", name), Options{})
			if err != nil {
				t.Fatal(err)
			}
			wantCube(t, c, want)
		})
	}
	small, err := Open("testdata/double.mat", Options{Key: "small"})
	if err != nil || small.Bands != 2 {
		t.Errorf("key small: %+v, %v", small, err)
	}
}

// A header with several lines a field, all interleaves and both orders of bytes.
func TestENVI(t *testing.T) {
	want := counted(1, 0)
	for _, interleave := range []string{"bsq", "bil", "bip"} {
		for _, order := range []string{"0", "1"} {
			dir := t.TempDir()
			header := "ENVI\ndescription = {\n a cube }\nsamples = 4\nlines = 3\nbands = 5\nheader offset = 2\ndata type = 12\ninterleave = " + interleave +
				"\nbyte order = " + order + "\nwavelength = {\n 400, 500, 600,\n 700, 800}\n"
			raw := []byte{9, 9}
			put := func(y, x, b int) {
				v := uint16(want.Data[(y*4+x)*5+b])
				if order == "1" {
					raw = append(raw, byte(v>>8), byte(v))
				} else {
					raw = append(raw, byte(v), byte(v>>8))
				}
			}
			switch interleave {
			case "bsq":
				for b := range 5 {
					for i := range 12 {
						put(i/4, i%4, b)
					}
				}
			case "bil":
				for y := range 3 {
					for i := range 20 {
						put(y, i%4, i/4)
					}
				}
			case "bip":
				for i := range 60 {
					put(i/20, i/5%4, i%5)
				}
			}
			write(t, filepath.Join(dir, "a.hdr"), []byte(header))
			write(t, filepath.Join(dir, "a.img"), raw)
			c, err := Open(filepath.Join(dir, "a.hdr"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			wantCube(t, c, want)
			if got := c.FalseColour(); got != [3]int{3, 1, 1} && got != [3]int{3, 2, 1} {
				t.Errorf("false colour is %v", got)
			}
			write(t, filepath.Join(dir, "a.img"), raw[:50])
			if _, err := Open(filepath.Join(dir, "a.hdr"), Options{}); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "48 bytes after") {
				t.Errorf("cut off: got %v", err)
			}
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every prefix of a file is an error that names a byte, and so is a claim that the file does not keep.
func TestDamage(t *testing.T) {
	for _, name := range []string{"int16.mat", "uint16.mat", "fortran.npy"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		for n := 0; n < len(whole); n += 1 + n/16 {
			write(t, path, whole[:n])
			if c, err := Open(path, Options{}); err == nil || !errors.Is(err, ErrFile) {
				t.Fatalf("%s cut to %d of %d bytes: %v, %v", name, n, len(whole), c != nil, err)
			}
		}
	}
	whole, err := os.ReadFile("testdata/uint16.mat")
	if err != nil {
		t.Fatal(err)
	}
	dims := bytes.Index(whole, []byte{5, 0, 0, 0, 12, 0, 0, 0}) // of the cube: type 5, 12 bytes
	claim := bytes.Clone(whole)
	claim[dims+8] = 200 // rows
	path := filepath.Join(t.TempDir(), "claim.mat")
	write(t, path, claim)
	if _, err := Open(path, Options{}); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), `"cube": [200 4 5] are 4000 values`) {
		t.Errorf("claim: got %v", err)
	}
	for name, text := range map[string]string{
		"a.npy": "\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999, 9), }   \n",
		"b.npy": "\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99, 99, 9), }         \n",
		"c.npy": "\x93NUMPY\x01\x00\x46\x00{'descr': '<c8', 'fortran_order': False, 'shape': (9, 9, 9), }           \n",
		"d.mat": "MATLAB 7.3 MAT-file" + strings.Repeat(" ", 109), "e.tif": "II", "f.hdr": "ENVI\nsamples = 4\n",
		"g.hdr": "ENVI\nsamples = 4\nlines = 3\nbands = 5\ndata type = 6\ninterleave = bsq",
	} {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, []byte(text))
		if _, err := Open(path, Options{}); !errors.Is(err, ErrFile) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Open(t.TempDir(), Options{}); !errors.Is(err, ErrFile) {
		t.Errorf("a folder: got %v", err)
	}
}

func TestCheck(t *testing.T) {
	c := counted(1, 0)
	c.Data[(2*4+1)*5+3] = math.NaN()
	if err := c.Check(); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "band 4 has NaN at row 3, column 2") {
		t.Errorf("got %v", err)
	}
	c = counted(1, 0)
	for i := 2; i < len(c.Data); i += 5 {
		c.Data[i] = 7
	}
	if dead := c.Constant(); len(dead) != 1 || dead[0] != 2 {
		t.Errorf("constant bands %v, want [2]", dead)
	}
}

func TestWriteNPY(t *testing.T) {
	var b bytes.Buffer
	want := counted(0.25, 1)
	if err := WriteNPY(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := readNPY(&b)
	if err != nil {
		t.Fatal(err)
	}
	wantCube(t, got, want)
}

func FuzzMAT(f *testing.F) {
	for _, name := range []string{"int16.mat", "uint16.mat", "double.mat", "unrolled.mat"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := readMAT(bytes.NewReader(b), Options{})
		if err == nil && len(c.Data) != c.Height*c.Width*c.Bands {
			t.Errorf("%d values for %d x %d x %d", len(c.Data), c.Height, c.Width, c.Bands)
		}
		if err != nil && !errors.Is(err, ErrFile) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzNPY(f *testing.F) {
	b, err := os.ReadFile("testdata/fortran.npy")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := readNPY(bytes.NewReader(b)); err == nil && len(c.Data) != c.Height*c.Width*c.Bands {
			t.Errorf("%d values for %d x %d x %d", len(c.Data), c.Height, c.Width, c.Bands)
		}
	})
}

func FuzzENVI(f *testing.F) {
	f.Add([]byte("ENVI\nsamples = 4\nlines = 3\nbands = 5\ndata type = 12\ninterleave = bil\nwavelength = {1,2,3,4,5}"), []byte("abc"))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		h, err := readENVIHeader(bytes.NewReader(header))
		if err != nil {
			return
		}
		if c, err := h.read(bytes.NewReader(data)); err == nil && len(c.Data) != c.Height*c.Width*c.Bands {
			t.Errorf("%d values for %d x %d x %d", len(c.Data), c.Height, c.Width, c.Bands)
		}
	})
}
