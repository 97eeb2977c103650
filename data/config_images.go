package data

// ImageConfig has the keys of the [data] table that are for images: sources "mnist" and "image_folder".
type ImageConfig struct {
	// ImageSize is the height and width, in pixels, to which images of source "image_folder" are brought: the shorter side is
	// scaled to it, and the middle of the longer one kept. 8 to 1024; 0: all files must have one size.
	ImageSize int `toml:"image_size"`

	// Mean and Std normalise the pixels: of each channel, where black is 0 and white 1. Empty: those of the training split.
	Mean []float64 `toml:"mean"`
	Std  []float64 `toml:"std"`

	// Augment says how training images are varied; nil: they are not.
	Augment *AugmentConfig `toml:"augment"`
}

// Limits of image_size: below nothing is left to see; above no classifier is trained on a CPU.
const (
	minImageSize = 8
	maxImageSize = 1024
)

// IsImages reports whether the source has labelled images, which [OpenImages] reads.
func (c *Config) IsImages() bool { return c.Source == "mnist" || c.Source == "image_folder" }

// ImageShape is the side and the channels of the images as far as the config tells: side is 0 where the files do. It is for
// sources that have images.
func (c *Config) ImageShape() (side, channels int) {
	if c.Source == "mnist" {
		return mnistSide, mnistChannels
	}
	return c.ImageSize, imageChannels
}

// imageProblems checks the keys of ImageConfig.
func (c *Config) imageProblems(add func(key string, value any, format string, args ...any)) {
	if c.ImageSize != 0 && (c.ImageSize < minImageSize || c.ImageSize > maxImageSize) {
		add("image_size", c.ImageSize, "is out of range; want 0 (as the files are) or %d to %d pixels", minImageSize, maxImageSize)
	}
	if c.ImageSize != 0 && c.Source != "image_folder" {
		add("image_size", c.ImageSize, `is for source = "image_folder", but source = %q`, c.Source)
	}
	if c.Source == "image_folder" && c.Root == "" {
		add("root", c.Root, `is empty; source = "image_folder" needs a folder`)
	}
	if !c.IsImages() {
		for _, key := range []struct {
			name  string
			value any
			set   bool
		}{{"mean", c.Mean, len(c.Mean) > 0}, {"std", c.Std, len(c.Std) > 0}, {"augment.flip", false, c.Augment != nil}} {
			if key.set {
				add(key.name, key.value, `is for sources "mnist" and "image_folder", but source = %q`, c.Source)
			}
		}
		return
	}
	_, channels := c.ImageShape()
	for _, key := range []struct {
		name   string
		values []float64
		low    float64
	}{{"mean", c.Mean, 0}, {"std", c.Std, leastStd}} {
		if n := len(key.values); n != 0 && n != channels || len(c.Mean) != len(c.Std) {
			add(key.name, key.values, "has %d values; want %d in both of mean and std, one for each channel, or none", n, channels)
			continue
		}
		for _, v := range key.values {
			if !(v >= key.low && v <= 1) {
				add(key.name, key.values, "has the value %g; want %.2g to 1, where white is 1", v, key.low)
				break
			}
		}
	}
}
