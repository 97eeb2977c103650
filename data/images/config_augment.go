package images

import (
	"math"

	"sparrow/configs"
)

// AugmentConfig is the [data.augment] table: how training images are varied. Everything is off by default, flips too: a digit
// or a letter is another one in the mirror. The order is crop, flip, jitter, normalisation, erasing, mixing.
type AugmentConfig struct {
	Flip           bool    `toml:"flip" doc:"mirror half of the images, left to right"`
	CropPadding    int     `toml:"crop_padding" doc:"black around an image before it is cut to its size at a random place" unit:"pixels"`
	Jitter         float64 `toml:"jitter" doc:"j: brightness, contrast and, of colours, saturation are multiplied by 1-j to 1+j each"`
	Erase          float64 `toml:"erase" doc:"probability that a random rectangle becomes noise (Zhong et al. 2017)"`
	Mixup          float64 `toml:"mixup" doc:"a of Beta(a, a), from which the share of an image is drawn that is mixed with another one (Zhang et al. 2017); 0: off"`
	CutMix         float64 `toml:"cutmix" doc:"a of Beta(a, a), from which the share of an image is drawn that stays when a rectangle is replaced (Yun et al. 2019); 0: off; with mixup too, each image gets one or the other"`
	LabelSmoothing float64 `toml:"label_smoothing" doc:"share of each target that is spread evenly over all classes"`
}

// maxCropPadding is as much as the largest image: a crop beyond sees only black.
const maxCropPadding = maxImageSize

// Validate reports values out of range.
func (c AugmentConfig) Validate(r *configs.Report) {
	if c.CropPadding < 0 || c.CropPadding > maxCropPadding {
		r.Errorf("crop_padding", "is out of range; want 0 (no crop) to %d pixels", maxCropPadding)
	}
	share := func(key string, x float64) {
		if !(x >= 0 && x < 1) {
			r.Errorf(key, "is out of range; want 0 (off) or more and less than 1")
		}
	}
	share("jitter", c.Jitter)
	share("label_smoothing", c.LabelSmoothing)
	if !(c.Erase >= 0 && c.Erase <= 1) {
		r.Errorf("erase", "is out of range; want a probability, 0 (off) to 1")
	}
	beta := func(key string, x float64) {
		if !(x >= 0 && x <= maxBeta) {
			r.Errorf(key, "is out of range; want 0 (off) to %d", maxBeta)
		}
	}
	beta("mixup", c.Mixup)
	beta("cutmix", c.CutMix)
}

// maxBeta bounds the parameter of Beta(a, a): beyond, every draw is a half.
const maxBeta = 1000

// mixes tells whether images are mixed.
func (c AugmentConfig) mixes() bool { return c.Mixup > 0 || c.CutMix > 0 }

// Normalisation takes a value v of channel c, 0 to 255, to (v/255 - Mean[c]) / Std[c].
type Normalisation struct {
	Mean []float64 `json:"mean"` // of each channel, where black is 0 and white 1
	Std  []float64 `json:"std"`
}

// leastStd stands for the deviation of a channel that hardly varies: one step of a byte.
const leastStd = 1.0 / 255

// Normalisation is what brings the values of each channel to mean 0 and deviation 1. Sums are of integers, so that it does
// not depend on their order.
func (x *Images) Normalisation() Normalisation {
	plane := x.Height * x.Width
	sum, squares := make([]uint64, x.Channels), make([]uint64, x.Channels)
	for i := range x.Len() {
		pixels, _ := x.At(i)
		for c := range x.Channels {
			for _, v := range pixels[c*plane : (c+1)*plane] {
				sum[c] += uint64(v)
				squares[c] += uint64(v) * uint64(v)
			}
		}
	}
	n := float64(x.Len() * plane)
	var out Normalisation
	for c := range x.Channels {
		mean := float64(sum[c]) / n
		variance := float64(squares[c])/n - mean*mean
		out.Mean = append(out.Mean, mean/255)
		out.Std = append(out.Std, max(math.Sqrt(max(variance, 0))/255, leastStd))
	}
	return out
}
