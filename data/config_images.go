package data

// ImageConfig has the keys of the [data] table that are for images: sources "mnist" and "image_folder".
type ImageConfig struct {
	// ImageSize is the height and width, in pixels, to which images of source "image_folder" are brought: the shorter side is
	// scaled to it, and the middle of the longer one kept. 8 to 1024; 0: all files must have one size.
	ImageSize int `toml:"image_size"`
}

// Limits of image_size: below nothing is left to see; above no classifier is trained on a CPU.
const (
	minImageSize = 8
	maxImageSize = 1024
)

// IsImages reports whether the source has labelled images, which [OpenImages] reads.
func (c *Config) IsImages() bool { return c.Source == "mnist" || c.Source == "image_folder" }

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
}
