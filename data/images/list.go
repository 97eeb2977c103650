package images

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/data"
)

// List is the source of image files that a table names, with the class of each.
type List struct {
	Options
	File        string `toml:"list" doc:"file of tab-separated values with a header, a line for each image"`
	Root        string `toml:"root" doc:"folder that the names of images are relative to; empty: that of the list"`
	ImageColumn string `toml:"image_column" doc:"column of the names of the images"`
	LabelColumn string `toml:"label_column" doc:"column of the class of each image"`
	ImageSize   int    `toml:"image_size" doc:"height and width to which images are brought: the shorter side is scaled, the middle of the longer one kept; 8 to 1024; 0: all files must have one size" unit:"pixels"`
}

// DefaultList returns the values of keys that a config leaves out.
func DefaultList() List {
	return List{Options: DefaultOptions(), ImageColumn: "image", LabelColumn: "label"}
}

// Name implements data.Source.
func (List) Name() string { return "image_list" }

// Shape implements Source.
func (s List) Shape() (side, channels int) { return s.ImageSize, imageChannels }

// Plain implements Source.
func (s List) Plain() Source {
	s.Augment = nil
	return s
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s List) Validate(r *configs.Report) {
	s.check(r, imageChannels)
	if s.ImageSize != 0 && (s.ImageSize < minImageSize || s.ImageSize > maxImageSize) {
		r.Errorf("image_size", "is out of range; want 0 (as the files are) or %d to %d pixels", minImageSize, maxImageSize)
	}
	for _, key := range []struct{ name, value string }{{"list", s.File}, {"image_column", s.ImageColumn}, {"label_column", s.LabelColumn}} {
		if key.value == "" {
			r.Errorf(key.name, `is empty; source = "image_list" needs it`)
		}
	}
	if s.ImageColumn == s.LabelColumn {
		r.Errorf("label_column", "is the column of images as well")
	}
}

// listLine is an image of the list.
type listLine struct{ image, label string }

// lines reads the list: the image and a column of each line.
func (s List) lines(column string) ([]listLine, error) {
	content, err := data.ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	var lines []listLine
	var image, label, width int
	rest := bytes.TrimPrefix(content, []byte("\ufeff"))
	for number := 1; len(rest) > 0; number++ {
		var raw []byte
		raw, rest, _ = bytes.Cut(rest, []byte("\n"))
		fields := strings.Split(strings.TrimSuffix(string(raw), "\r"), "\t")
		fail := func(format string, args ...any) ([]listLine, error) {
			return nil, fmt.Errorf("%s:%d: %s", s.File, number, fmt.Sprintf(format, args...))
		}
		if number == 1 {
			image, label, width = slices.Index(fields, s.ImageColumn), slices.Index(fields, column), len(fields)
			for _, c := range []struct {
				name string
				at   int
			}{{s.ImageColumn, image}, {column, label}} {
				if c.at < 0 {
					return fail("column %q is not in the header; want one of %s", c.name, data.SomeOf(fields))
				}
			}
			continue
		}
		switch {
		case len(fields) == 1 && fields[0] == "" && len(bytes.TrimSpace(rest)) == 0:
			return lines, nil
		case len(fields) != width:
			return fail("%d columns, but the header has %d", len(fields), width)
		case fields[image] == "":
			return fail("column %q is empty, want the name of an image", s.ImageColumn)
		case strings.TrimSpace(fields[label]) == "":
			return fail("column %q is empty, want a label", column)
		}
		lines = append(lines, listLine{fields[image], fields[label]})
	}
	return lines, nil
}

// find returns the files with their classes, sorted by name, and the classes. With known classes another one is an error.
func (s List) find(known []string) (files []data.File, of []int32, classes []string, err error) {
	lines, err := s.lines(s.LabelColumn)
	if err != nil {
		return nil, nil, nil, err
	}
	slices.SortFunc(lines, func(a, b listLine) int { return cmp.Compare(a.image, b.image) })
	classes = slices.Clone(known)
	for i, l := range lines {
		if i > 0 && lines[i-1].image == l.image {
			return nil, nil, nil, fmt.Errorf("%s: image %q stands there twice", s.File, l.image)
		}
		if known == nil && !slices.Contains(classes, l.label) {
			classes = append(classes, l.label)
		}
		if len(classes) > data.MaxLabels {
			return nil, nil, nil, fmt.Errorf("%s: column %q has more than %d classes", s.File, s.LabelColumn, data.MaxLabels)
		}
	}
	switch {
	case len(lines) == 0:
		return nil, nil, nil, fmt.Errorf("%s: no line after the header, want images", s.File)
	case known == nil && len(classes) == 1:
		return nil, nil, nil, fmt.Errorf("%s: column %q has only the label %q, want at least two classes", s.File, s.LabelColumn, classes[0])
	case known == nil:
		slices.Sort(classes)
	}
	if s.MaxExamples > 0 && len(lines) > s.MaxExamples {
		byHash := func(a, b listLine) int {
			return cmp.Or(cmp.Compare(data.NameHash(a.image), data.NameHash(b.image)), cmp.Compare(a.image, b.image))
		}
		slices.SortFunc(lines, byHash)
		lines = lines[:s.MaxExamples]
		slices.SortFunc(lines, func(a, b listLine) int { return cmp.Compare(a.image, b.image) })
	}
	root := s.Root
	if root == "" {
		root = filepath.Dir(s.File)
	}
	for _, l := range lines {
		at := slices.Index(classes, l.label)
		if at < 0 {
			return nil, nil, nil, fmt.Errorf("%s: class %q is none of the classes of training, %s", s.File, l.label, data.SomeOf(known))
		}
		files = append(files, data.File{Path: filepath.Join(root, filepath.FromSlash(l.image)), Name: l.image})
		of = append(of, int32(at))
	}
	return files, of, classes, nil
}

// Read implements Source.
func (s List) Read(ctx context.Context, labels []string) (*Dataset, error) {
	files, of, classes, err := s.find(labels)
	if err != nil {
		return nil, fmt.Errorf("data: source \"image_list\": %w", err)
	}
	size := imageSize{s.ImageSize, s.ImageSize, ""}
	if size.height == 0 {
		if size, err = sizeOfImage(files[0].Path); err != nil {
			return nil, fmt.Errorf("data: source \"image_list\": %w", err)
		}
	}
	d := &Dataset{Labels: classes, files: len(files)}
	d.Train, err = readImages(ctx, s.Name(), files, of, size, s.ImageSize > 0, Scaling{})
	return d, err
}

// Look implements Source.
func (s List) Look(context.Context) (found data.Survey, err error) {
	files, _, classes, err := s.find(nil)
	if err != nil {
		return found, fmt.Errorf("data: source \"image_list\": %w", err)
	}
	found.Channels, found.Height, found.Width = imageChannels, s.ImageSize, s.ImageSize
	if found.Height == 0 {
		size, err := sizeOfImage(files[0].Path)
		if err != nil {
			return found, fmt.Errorf("data: source \"image_list\": %w", err)
		}
		found.Height, found.Width = size.height, size.width
	}
	found.Labels, found.Files = classes, len(files)
	found.Bytes = int64(found.Files) * int64(found.Channels*found.Height*found.Width)
	return found, nil
}

// Listed is an image with what is known of it.
type Listed struct {
	Name   string // of its file; "": none
	Pixels []uint8
	Label  string
	Truth  string // "": not asked for
	Held   bool   // of validation or test
}

// FolderTruth, as the truth that Dataset.List is asked for, is the folder below that of an image's class.
const FolderTruth = "folder"

// List are all images. truth is where more is known of each than its label: a column of source "image_list", or FolderTruth; "":
// nowhere.
func (d *Dataset) List(from Source, truth string) ([]Listed, error) {
	more := func(name string) (string, error) { return "", nil }
	switch s, list := from.(List); {
	case truth == "":
	case list:
		lines, err := s.lines(truth)
		if err != nil {
			return nil, fmt.Errorf("data: source \"image_list\": %w", err)
		}
		of := map[string]string{}
		for _, l := range lines {
			of[l.image] = l.label
		}
		more = func(name string) (string, error) { return of[name], nil }
	case from.Name() == Folder{}.Name() && truth == FolderTruth:
		more = func(name string) (string, error) {
			parts := strings.Split(name, "/")
			if len(parts) < 3 {
				return "", fmt.Errorf("data: source \"image_folder\": %s lies in no folder below that of its class, which would be its true class", name)
			}
			return parts[1], nil
		}
	default:
		return nil, fmt.Errorf("data: source %q tells no true class by %q; want a column of source = \"image_list\", or %q of source = \"image_folder\"", from.Name(), truth, FolderTruth)
	}
	var all []Listed
	for _, x := range []*Images{d.Train, d.Validation, d.Test} {
		if x == nil {
			continue
		}
		for i := range x.Len() {
			pixels, label := x.At(i)
			is, err := more(x.Name(i))
			if err != nil {
				return nil, err
			}
			all = append(all, Listed{Name: x.Name(i), Pixels: pixels, Label: d.Labels[label], Truth: is, Held: x != d.Train})
		}
	}
	return all, nil
}

// Start implements configs.Starter.
func (List) Start() []string {
	return []string{"data.list=my-images.tsv", "data.image_size=32", "train.epochs=3", "eval.metric=accuracy"}
}
