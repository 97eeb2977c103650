package cubes

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// readMAT finds the cube among the arrays of a MAT file: the one of that name, else the largest of three dimensions, rows by columns
// by bands, else the largest matrix with a side of all pixels, bands by pixels or the other way round, whose pixels run down the
// columns, as MATLAB's reshape unrolls them.
func readMAT(r io.Reader, o Options) (*Cube, error) {
	arrays, err := ReadMAT(r)
	if err != nil {
		return nil, err
	}
	var names []string
	var found *Array
	for i := range arrays {
		a := &arrays[i]
		names = append(names, fmt.Sprintf("%s %s", a.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(a.Dims), " ", "x"), "[]")))
		fits := a.solid() && (o.Key == "" || o.Key == a.Name)
		if fits && (found == nil || len(a.Data) > len(found.Data)) {
			found = a
		}
	}
	if found != nil {
		return found.cube(), nil
	}
	height, width, told := sides(arrays)
	for i := range arrays {
		a := &arrays[i]
		fits := len(a.Dims) == 2 && len(a.Data) > 1 && (o.Key == "" || o.Key == a.Name) && a.pixelSide(height*width, told) >= 0
		if fits && (found == nil || len(a.Data) > len(found.Data)) {
			found = a
		}
	}
	if found == nil {
		want := "an array of rows x columns x bands, or a matrix of bands x pixels with nRow and nCol, or of a square"
		if o.Key != "" {
			want += " named " + o.Key
		}
		return nil, fmt.Errorf("%w: a MAT file with %s; want %s", ErrFile, strings.Join(names, ", "), want)
	}
	return found.unrolled(height, width, told), nil
}

// solid tells whether the array has three dimensions.
func (a *Array) solid() bool { return len(a.Dims) == 3 && !slices.Contains(a.Dims, 0) }

// cube is an array of rows by columns by bands.
func (a *Array) cube() *Cube {
	h, w, b := a.Dims[0], a.Dims[1], a.Dims[2]
	c := New(h, w, b)
	for k := range b {
		for x := range w {
			for y := range h {
				c.Data[(y*w+x)*b+k] = a.Data[(k*w+x)*h+y]
			}
		}
	}
	return c
}

// sides are the rows and columns of the picture, where scalars of the file tell them.
func sides(arrays []Array) (height, width int, told bool) {
	for _, a := range arrays {
		if len(a.Data) != 1 || !(a.Data[0] >= 1 && a.Data[0] <= 1<<20) {
			continue
		}
		switch strings.ToLower(a.Name) {
		case "nrow", "nrows", "rows", "height", "lines", "h":
			height = int(a.Data[0])
		case "ncol", "ncols", "cols", "columns", "width", "samples", "w":
			width = int(a.Data[0])
		}
	}
	return height, width, height > 0 && width > 0
}

// pixelSide is the dimension that counts pixels: as many as the file tells, else a square of which the other side is smaller; -1: none.
func (a *Array) pixelSide(pixels int, told bool) int {
	for d, n := range a.Dims {
		if root := int(math.Round(math.Sqrt(float64(n)))); told && n == pixels || !told && root*root == n && n > a.Dims[1-d] {
			return d
		}
	}
	return -1
}

// unrolled is the cube of a matrix of bands by pixels, or pixels by bands.
func (a *Array) unrolled(height, width int, told bool) *Cube {
	side := a.pixelSide(height*width, told)
	if !told {
		height = int(math.Round(math.Sqrt(float64(a.Dims[side]))))
		width = height
	}
	bands := a.Dims[1-side]
	c := New(height, width, bands)
	for x := range width {
		for y := range height {
			p := x*height + y
			for b := range bands {
				at := p*bands + b // bands by pixels
				if side == 0 {
					at = b*height*width + p
				}
				c.Data[(y*width+x)*bands+b] = a.Data[at]
			}
		}
	}
	return c
}
