package restore

import "math"

// transform is a linear map of lines of 8 values, and back. Rows of forward have length 1, so that white noise keeps its deviation.
type transform struct{ forward, inverse [blockPixels]float64 }

// both replaces a block X by m X mᵀ.
func (transform) both(block, half []float64, m [blockPixels]float64) {
	for i := range blockSide {
		for j := range blockSide {
			sum := 0.0
			for k := range blockSide {
				sum += m[i*blockSide+k] * block[k*blockSide+j]
			}
			half[i*blockSide+j] = sum
		}
	}
	for i := range blockSide {
		row := half[i*blockSide : (i+1)*blockSide]
		for j := range blockSide {
			sum := 0.0
			for k, v := range row {
				sum += v * m[j*blockSide+k]
			}
			block[i*blockSide+j] = sum
		}
	}
}

// dct8 is the orthonormal discrete cosine transform.
var dct8 = func() (t transform) {
	for k := range blockSide {
		scale := math.Sqrt(2.0 / blockSide)
		if k == 0 {
			scale = math.Sqrt(1.0 / blockSide)
		}
		for i := range blockSide {
			v := scale * math.Cos(math.Pi*float64(k)*(2*float64(i)+1)/(2*blockSide))
			t.forward[k*blockSide+i], t.inverse[i*blockSide+k] = v, v
		}
	}
	return t
}()

// bior15 is the periodic biorthogonal wavelet 1.5 of three levels (Cohen, Daubechies and Feauveau 1992): Haar's wavelet, with a longer
// filter for the mean.
var bior15 = func() (t transform) {
	// The filter for means; that for details is Haar's, at the middle.
	const a, b = 3.0 / 256 * math.Sqrt2, 22.0 / 256 * math.Sqrt2
	low := [10]float64{a, -a, -b, b, math.Sqrt2 / 2, math.Sqrt2 / 2, b, -b, -a, a}
	rows := make([][]float64, blockSide) // what each value so far is of the input
	for i := range rows {
		rows[i] = make([]float64, blockSide)
		rows[i][i] = 1
	}
	mix := func(n int, at int, filter []float64, first int) []float64 {
		row := make([]float64, blockSide)
		for k, f := range filter {
			from := ((at+first+k)%n + n) % n
			for i, v := range rows[from] {
				row[i] += f * v
			}
		}
		return row
	}
	for n := blockSide; n > 1; n /= 2 {
		next := make([][]float64, n)
		for k := range n / 2 {
			next[k] = mix(n, 2*k, low[:], -4)
			next[n/2+k] = mix(n, 2*k, []float64{math.Sqrt2 / 2, -math.Sqrt2 / 2}, 0)
		}
		copy(rows, next)
	}
	for i, row := range rows {
		norm := 0.0
		for _, v := range row {
			norm += v * v
		}
		for k, v := range row {
			t.forward[i*blockSide+k] = v / math.Sqrt(norm)
		}
	}
	t.inverse = inverse8(t.forward)
	return t
}()

// inverse8 inverts an 8 by 8 matrix by elimination with pivots.
func inverse8(m [blockPixels]float64) (inverse [blockPixels]float64) {
	for i := range blockSide {
		inverse[i*blockSide+i] = 1
	}
	for c := range blockSide {
		p := c
		for r := c + 1; r < blockSide; r++ {
			if math.Abs(m[r*blockSide+c]) > math.Abs(m[p*blockSide+c]) {
				p = r
			}
		}
		for k := range blockSide {
			m[c*blockSide+k], m[p*blockSide+k] = m[p*blockSide+k], m[c*blockSide+k]
			inverse[c*blockSide+k], inverse[p*blockSide+k] = inverse[p*blockSide+k], inverse[c*blockSide+k]
		}
		pivot := m[c*blockSide+c]
		for k := range blockSide {
			m[c*blockSide+k] /= pivot
			inverse[c*blockSide+k] /= pivot
		}
		for r := range blockSide {
			if f := m[r*blockSide+c]; r != c && f != 0 {
				for k := range blockSide {
					m[r*blockSide+k] -= f * m[c*blockSide+k]
					inverse[r*blockSide+k] -= f * inverse[c*blockSide+k]
				}
			}
		}
	}
	return inverse
}
