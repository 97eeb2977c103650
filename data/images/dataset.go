package images

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"sparrow/data"
)

// Images is a read-only list of labelled images of one size, a byte a value.
//
// C channels, H rows, W columns: pixels are [N, C, H, W], as convolutions take them.
type Images struct {
	Channels, Height, Width int

	pixels []uint8
	labels []int32
	names  []string // of the files, as their source has them; nil: there are none
}

// Name is that of the file of image i; "": it comes from no file of its own.
func (x *Images) Name(i int) string {
	if x.names == nil {
		return ""
	}
	return x.names[i]
}

// Len returns the number of images.
func (x *Images) Len() int { return len(x.labels) }

// At returns the values of image i, [C, H, W] from 0 (black) to 255, and its class. The slice is part of the list and must
// not be written.
func (x *Images) At(i int) (pixels []uint8, label int) {
	n := x.Channels * x.Height * x.Width
	return x.pixels[i*n : (i+1)*n : (i+1)*n], int(x.labels[i])
}

// Bytes returns the memory the images take.
func (x *Images) Bytes() int { return len(x.pixels) + 4*len(x.labels) }

// LabelCounts returns how many images each of the first classes has.
func (x *Images) LabelCounts(classes int) []int {
	counts := make([]int, classes)
	for _, label := range x.labels {
		counts[label]++
	}
	return counts
}

// take returns the images with the given indices, in that order.
func (x *Images) take(indices []int) *Images {
	n := x.Channels * x.Height * x.Width
	out := &Images{Channels: x.Channels, Height: x.Height, Width: x.Width, pixels: make([]uint8, 0, n*len(indices)), labels: make([]int32, 0, len(indices))}
	for _, i := range indices {
		out.pixels = append(out.pixels, x.pixels[i*n:(i+1)*n]...)
		out.labels = append(out.labels, x.labels[i])
		if x.names != nil {
			out.names = append(out.names, x.names[i])
		}
	}
	return out
}

func (x *Images) byHash() []data.Hashed {
	return data.SortByHash(x.Len(), func(i int) [sha256.Size]byte {
		pixels, _ := x.At(i)
		return sha256.Sum256(pixels)
	})
}

// Dataset is a corpus of labelled images.
type Dataset struct {
	Labels     []string // class names in the order of their ids
	Train      *Images  // as the files have them; a loader shuffles
	Validation *Images
	Test       *Images // nil: none

	// Normalisation is that of the config, or of the training split.
	Normalisation Normalisation

	// SHA256 identifies pixels and labels of all splits, in hexadecimal.
	SHA256 string

	source string
	files  int
}

// Open reads the images of cfg and holds out the validation split: a share of each class, chosen by the hashes of the
// images, unless the folder has its own. It fails with one clear error when a key of the source is wrong or a file is missing or damaged.
func Open(ctx context.Context, from Source) (*Dataset, error) {
	return OpenWith(ctx, from, nil)
}

// OpenWith is Open with labels that exist already, such as those of a checkpoint: another class is an error.
func OpenWith(ctx context.Context, from Source, labels []string) (*Dataset, error) {
	if err := data.Check(from); err != nil {
		return nil, err
	}
	d, err := from.Read(ctx, labels)
	if err != nil {
		return nil, err
	}
	cfg := from.Images()
	if d.Validation == nil {
		keep, out := data.HoldOut(d.Train.byHash(), d.Train.labels, cfg.ValidationShare)
		if len(keep) == 0 || len(out) == 0 {
			return nil, fmt.Errorf("data: source %q: %d images leave %d for training and %d for validation with validation_share = %v", from.Name(), d.Train.Len(), len(keep), len(out), cfg.ValidationShare)
		}
		all := d.Train
		d.Train, d.Validation = all.take(keep), all.take(out)
	}
	if len(cfg.Mean) > 0 {
		d.Normalisation = Normalisation{Mean: cfg.Mean, Std: cfg.Std}
	} else {
		d.Normalisation = d.Train.Normalisation()
	}
	d.source, d.SHA256 = from.Name(), d.hash()
	return d, nil
}

// hash returns the SHA-256 of labels and pixels of all splits in order.
func (d *Dataset) hash() string {
	h := sha256.New()
	number := func(n int) { h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	for _, label := range d.Labels {
		number(len(label))
		h.Write([]byte(label))
	}
	for _, x := range []*Images{d.Train, d.Validation, d.Test} {
		if x == nil {
			number(0)
			continue
		}
		for _, n := range []int{x.Len(), x.Channels, x.Height, x.Width} {
			number(n)
		}
		h.Write(x.pixels)
		for _, label := range x.labels {
			number(int(label))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Bytes returns the memory that the images of all splits take.
func (d *Dataset) Bytes() int {
	n := d.Train.Bytes() + d.Validation.Bytes()
	if d.Test != nil {
		n += d.Test.Bytes()
	}
	return n
}

// Describe returns one line for logs: source, images, size and classes.
func (d *Dataset) Describe() string {
	test := ""
	if d.Test != nil {
		test = fmt.Sprintf(" and %d test", d.Test.Len())
	}
	return fmt.Sprintf("%s: %d files, %d training, %d validation%s images of %d x %d x %d values, %.1f MB, %s", d.source, d.files,
		d.Train.Len(), d.Validation.Len(), test, d.Train.Channels, d.Train.Height, d.Train.Width, float64(d.Bytes())/1e6,
		data.Shares(d.Labels, d.Train.LabelCounts(len(d.Labels)), d.Train.Len()))
}
