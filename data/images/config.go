package images

import (
	"slices"

	"sparrow/configs"
	"sparrow/data"
)

// Config says which images a classifier reads, and how.
type Config struct {
	Source          string  `toml:"source" doc:"where the data comes from" choices:"mnist|image_folder"`
	ValidationShare float64 `toml:"validation_share" doc:"share that is held out for validation, more than 0 and less than 1: whole packages of goroot, the end of each text file, of labelled data the same share of each class, by a hash of the content"`
	MaxExamples     int     `toml:"max_examples" doc:"most examples of each file or split, chosen by hashes, so that a small run starts fast; 0: all"`
	Root            string  `toml:"root" doc:"folder of the images, or one with the files of imdb or mnist; empty: they come from the Go module"`

	Pixels
}

// Pixels has the keys of the [data] table that say what becomes of the pixels.
type Pixels struct {
	ImageSize int       `toml:"image_size" doc:"height and width to which images are brought: the shorter side is scaled, the middle of the longer one kept; 8 to 1024; 0: all files must have one size" unit:"pixels"`
	Mean      []float64 `toml:"mean" doc:"normalises pixels: mean of each channel, where black is 0 and white 1; empty: that of the training split"`
	Std       []float64 `toml:"std" doc:"normalises pixels: deviation of each channel; empty: that of the training split"`

	// Augment says how training images are varied; nil: they are not.
	Augment *AugmentConfig `toml:"augment"`
}

// Limits of image_size: below nothing is left to see; above no classifier is trained on a CPU.
const (
	minImageSize = 8
	maxImageSize = 1024
)

// Sources lists the values of Source for messages; OpenWith has the switch.
var Sources = []string{"mnist", "image_folder"}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config { return Config{Source: "mnist", ValidationShare: data.DefaultShare} }

// Shape is the side and the channels of the images as far as the config tells: side is 0 where the files do.
func (c *Config) Shape() (side, channels int) {
	if c.Source == "mnist" {
		return mnistSide, mnistChannels
	}
	return c.ImageSize, imageChannels
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (c Config) Validate(r *configs.Report) {
	if !slices.Contains(Sources, c.Source) {
		r.Errorf("source", `has no images; want "mnist" or "image_folder"`)
	}
	data.CheckShare(r, c.ValidationShare)
	data.CheckMaxExamples(r, c.MaxExamples)
	if c.ImageSize != 0 && (c.ImageSize < minImageSize || c.ImageSize > maxImageSize) {
		r.Errorf("image_size", "is out of range; want 0 (as the files are) or %d to %d pixels", minImageSize, maxImageSize)
	}
	if c.ImageSize != 0 && c.Source == "mnist" {
		r.Errorf("image_size", `is for source = "image_folder", but source = %q`, c.Source)
	}
	if c.Source == "image_folder" && c.Root == "" {
		r.Errorf("root", `is empty; source = "image_folder" needs a folder`)
	}
	_, channels := c.Shape()
	for _, key := range []struct {
		name   string
		values []float64
		low    float64
	}{{"mean", c.Mean, 0}, {"std", c.Std, leastStd}} {
		if n := len(key.values); n != 0 && n != channels || len(c.Mean) != len(c.Std) {
			r.Errorf(key.name, "has %d values; want %d in both of mean and std, one for each channel, or none", n, channels)
			continue
		}
		for _, v := range key.values {
			if !(v >= key.low && v <= 1) {
				r.Errorf(key.name, "has the value %g; want %.2g to 1, where white is 1", v, key.low)
				break
			}
		}
	}
}

// check is validation for callers that did not come through a config file.
func (c *Config) check() error { return configs.Validate("data: config", c) }
