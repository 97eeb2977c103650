package restore

import (
	"math"

	"sparrow/data/cubes"
	"sparrow/kernel"
)

// Quality is how near a cube is to the clean one, both of values from 0 to 1.
type Quality struct {
	PSNR  float64 // decibels, mean over bands
	SSIM  float64 // structural similarity, mean over bands, windows of 7 by 7 pixels
	SAM   float64 // angle between spectra, mean over pixels, radians
	ERGAS float64 // relative error, percent
}

// bestPSNR stands for that of equal bands.
const bestPSNR = 100

// Compare measures a cube, cut to 0 to 1, against the clean one. ratio is that of pixel sides of ERGAS: 1, or the factor of
// super-resolution.
//
// PSNR = mean_b 10 log10(1 / mse_b); SSIM is that of Wang et al. 2004 with uniform windows and the sample covariance, as
// scikit-image has it; SAM is Kruse et al. 1993; ERGAS = 100/ratio sqrt(mean_b mse_b / mean_b²), Wald 2000.
func Compare(clean, got *cubes.Cube, ratio float64) Quality {
	var q Quality
	relative := 0.0
	for b := range clean.Bands {
		x, y := clean.Band(b), got.Band(b)
		mse, mean := 0.0, 0.0
		for i, v := range x {
			y[i] = min(max(y[i], 0), 1)
			d := v - y[i]
			mse += d * d / float64(len(x))
			mean += v / float64(len(x))
		}
		q.PSNR += min(-10*math.Log10(max(mse, 1e-300)), bestPSNR) / float64(clean.Bands)
		q.SSIM += ssim(x, y, clean.Height, clean.Width) / float64(clean.Bands)
		relative += mse / max(mean*mean, 1e-12) / float64(clean.Bands)
	}
	q.ERGAS = 100 / ratio * math.Sqrt(relative)
	for p := range clean.Pixels() {
		x, y := clean.Data[p*clean.Bands:(p+1)*clean.Bands], got.Data[p*clean.Bands:(p+1)*clean.Bands]
		dot, nx, ny := 0.0, 0.0, 0.0
		for b, v := range x {
			u := min(max(y[b], 0), 1)
			dot, nx, ny = dot+v*u, nx+v*v, ny+u*u
		}
		if nx > 0 && ny > 0 {
			q.SAM += math.Acos(min(max(dot/math.Sqrt(nx*ny), -1), 1)) / float64(clean.Pixels())
		}
	}
	return q
}

// ssim is the mean structural similarity of two pictures with values from 0 to 1, over all windows that lie inside. Pictures smaller
// than a window are one window.
func ssim(x, y []float64, h, w int) float64 {
	const side = 7
	const c1, c2 = 0.01 * 0.01, 0.03 * 0.03
	tall, wide := min(side, h), min(side, w)
	n := float64(tall * wide)
	correction := n / max(n-1, 1)
	sum, windows := 0.0, 0
	sx, sy := make([]float64, w), make([]float64, w) // of each column over the window's rows
	sxx, syy, sxy := make([]float64, w), make([]float64, w), make([]float64, w)
	for top := 0; top+tall <= h; top++ {
		for _, s := range [][]float64{sx, sy, sxx, syy, sxy} {
			clear(s)
		}
		for r := top; r < top+tall; r++ {
			for c := range w {
				a, b := x[r*w+c], y[r*w+c]
				sx[c], sy[c] = sx[c]+a, sy[c]+b
				sxx[c], syy[c], sxy[c] = sxx[c]+a*a, syy[c]+b*b, sxy[c]+a*b
			}
		}
		for left := 0; left+wide <= w; left++ {
			mx, my := kernel.Sum(sx[left:left+wide])/n, kernel.Sum(sy[left:left+wide])/n
			vx := correction * (kernel.Sum(sxx[left:left+wide])/n - mx*mx)
			vy := correction * (kernel.Sum(syy[left:left+wide])/n - my*my)
			vxy := correction * (kernel.Sum(sxy[left:left+wide])/n - mx*my)
			sum += (2*mx*my + c1) * (2*vxy + c2) / ((mx*mx + my*my + c1) * (vx + vy + c2))
			windows++
		}
	}
	return sum / float64(windows)
}
