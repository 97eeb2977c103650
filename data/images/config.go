package images

import (
	"context"

	"sparrow/configs"
	"sparrow/data"
)

// Source is a source of labelled images.
type Source interface {
	data.Source
	// Images are the keys that all sources of images have.
	Images() Options
	// Shape is the side and the channels of the images as far as the keys tell: side is 0 where the files do.
	Shape() (side, channels int)
	// Read reads all splits; without validation a share of train is held out. With labels, those of a checkpoint, another class
	// is an error.
	Read(ctx context.Context, labels []string) (*Dataset, error)
	// Look finds the files, the labels and the shape.
	Look(ctx context.Context) (data.Survey, error)
	// Plain is the same source without augmentation, which is a loader's and changes nothing that is read.
	Plain() Source
}

// Options are the keys of the [data] table that all sources of images have.
type Options struct {
	ValidationShare float64   `toml:"validation_share" doc:"share of each class that is held out for validation by a hash of the content, more than 0 and less than 1"`
	MaxExamples     int       `toml:"max_examples" doc:"most examples of each split, chosen by hashes, so that a small run starts fast; 0: all"`
	Mean            []float64 `toml:"mean" doc:"normalises pixels: mean of each channel, where black is 0 and white 1; empty: that of the training split"`
	Std             []float64 `toml:"std" doc:"normalises pixels: deviation of each channel; empty: that of the training split"`

	// Augment says how training images are varied; nil: they are not.
	Augment *AugmentConfig `toml:"augment"`
}

// Images implements Source.
func (o Options) Images() Options { return o }

// DefaultOptions returns the values of keys that a config leaves out.
func DefaultOptions() Options { return Options{ValidationShare: data.DefaultShare} }

// MNIST is the source of handwritten digits, those of a Go module or of a folder.
type MNIST struct {
	Options
	Root string `toml:"root" doc:"folder with the files; empty: they come from the Go module"`
}

// DefaultMNIST returns the values of keys that a config leaves out.
func DefaultMNIST() MNIST { return MNIST{Options: DefaultOptions()} }

// Name implements data.Source.
func (MNIST) Name() string { return "mnist" }

// Shape implements Source.
func (MNIST) Shape() (side, channels int) { return mnistSide, mnistChannels }

// Plain implements Source.
func (s MNIST) Plain() Source {
	s.Augment = nil
	return s
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s MNIST) Validate(r *configs.Report) { s.check(r, mnistChannels) }

// Folder is the source of image files in a folder for each class.
type Folder struct {
	Options
	Root      string `toml:"root" also:"path|folder|dir|train" doc:"folder of the images"`
	ImageSize int    `toml:"image_size" also:"img_size|size|resolution" doc:"height and width to which images are brought: the shorter side is scaled, the middle of the longer one kept; 8 to 1024; 0: all files must have one size" unit:"pixels"`

	// Scaling is how a model from elsewhere takes images, not a key.
	Scaling Scaling `toml:"-"`
}

// DefaultFolder returns the values of keys that a config leaves out.
func DefaultFolder() Folder { return Folder{Options: DefaultOptions()} }

// Name implements data.Source.
func (Folder) Name() string { return "image_folder" }

// Shape implements Source.
func (s Folder) Shape() (side, channels int) { return s.ImageSize, imageChannels }

// Plain implements Source.
func (s Folder) Plain() Source {
	s.Augment = nil
	return s
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s Folder) Validate(r *configs.Report) {
	s.check(r, imageChannels)
	if s.ImageSize != 0 && (s.ImageSize < minImageSize || s.ImageSize > maxImageSize) {
		r.Errorf("image_size", "is out of range; want 0 (as the files are) or %d to %d pixels", minImageSize, maxImageSize)
	}
	if s.Root == "" {
		r.Errorf("root", `is empty; source = "image_folder" needs a folder`)
	}
}

// Sources are those that come with this package.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{
		{Name: "mnist", New: func() data.Source { return DefaultMNIST() }},
		{Name: "image_folder", New: func() data.Source { return DefaultFolder() }},
		{Name: "image_list", New: func() data.Source { return DefaultList() }},
	}
}

// Limits of image_size: below nothing is left to see; above no classifier is trained on a CPU.
const (
	minImageSize = 8
	maxImageSize = 1024
)

// check reports keys that are wrong for images of so many channels.
func (o Options) check(r *configs.Report, channels int) {
	data.CheckShare(r, o.ValidationShare)
	data.CheckMaxExamples(r, o.MaxExamples)
	for _, key := range []struct {
		name   string
		values []float64
		low    float64
	}{{"mean", o.Mean, 0}, {"std", o.Std, leastStd}} {
		if n := len(key.values); n != 0 && n != channels || len(o.Mean) != len(o.Std) {
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

// Start implements configs.Starter.
func (MNIST) Start() []string {
	return []string{"train.epochs=3", "eval.metric=accuracy"}
}

// Start implements configs.Starter.
func (Folder) Start() []string {
	return []string{"data.root=my-images", "data.image_size=32", "train.epochs=3", "eval.metric=accuracy"}
}
