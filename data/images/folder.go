package images

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"sparrow/data"
)

// Read implements Source. It reads PNG and JPEG files, whose classes are the folders they are in:
//
//	root/CLASS/...                        validation is held out
//	root/train/CLASS/...                  validation is held out, unless there is root/validation (or root/val);
//	root/test/CLASS/...                   optional
//
// Classes are those of training in sorted order, unless labels has them. Other files and names that begin with a dot are left
// out; folders below a class belong to it.
func (s Folder) Read(ctx context.Context, labels []string) (*Dataset, error) {
	folders, err := imageSplits(s.Root)
	if err != nil {
		return nil, fmt.Errorf("data: source \"image_folder\": %w", err)
	}
	d := &Dataset{Labels: labels}
	size := imageSize{s.ImageSize, s.ImageSize, ""}
	for _, half := range []struct {
		folder string
		into   **Images
	}{{folders.train, &d.Train}, {folders.validation, &d.Validation}, {folders.test, &d.Test}} {
		if half.folder == "" {
			continue
		}
		files, found, err := findImages(half.folder, d.Labels, s.MaxExamples)
		if err != nil {
			return nil, fmt.Errorf("data: source \"image_folder\": %w", err)
		}
		if d.Labels == nil {
			d.Labels = found
		}
		if size.height == 0 {
			if size, err = sizeOfImage(files[0].Path); err != nil {
				return nil, fmt.Errorf("data: source \"image_folder\": %w", err)
			}
		}
		if *half.into, err = readImages(ctx, s.Name(), files, classesOf(files, d.Labels), size, s.ImageSize > 0, s.Scaling); err != nil {
			return nil, err
		}
		d.files += len(files)
	}
	return d, nil
}

// Look implements Source.
func (s Folder) Look(context.Context) (found data.Survey, err error) {
	folders, err := imageSplits(s.Root)
	if err != nil {
		return found, fmt.Errorf("data: source \"image_folder\": %w", err)
	}
	found.Channels, found.Height, found.Width = imageChannels, s.ImageSize, s.ImageSize
	for _, folder := range []string{folders.train, folders.validation, folders.test} {
		if folder == "" {
			continue
		}
		files, labels, err := findImages(folder, found.Labels, s.MaxExamples)
		if err == nil && found.Height == 0 {
			var size imageSize
			size, err = sizeOfImage(files[0].Path)
			found.Height, found.Width = size.height, size.width
		}
		if err != nil {
			return found, fmt.Errorf("data: source \"image_folder\": %w", err)
		}
		if found.Labels == nil {
			found.Labels = labels
		}
		found.Files += len(files)
	}
	found.Bytes = int64(found.Files) * int64(found.Channels*found.Height*found.Width)
	return found, nil
}

// imageSize is the size that all images have, and the file that set it.
type imageSize struct {
	height, width int
	path          string
}

// splitFolders are the folders of each split; "" is none.
type splitFolders struct{ train, validation, test string }

// imageSplits finds them.
func imageSplits(root string) (splitFolders, error) {
	info, err := os.Stat(root)
	if err != nil {
		return splitFolders{}, err
	}
	if !info.IsDir() {
		return splitFolders{}, fmt.Errorf("root = %q is a file, want a folder", root)
	}
	folder := func(name string) string {
		path := filepath.Join(root, name)
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return ""
		}
		return path
	}
	if folder("train") == "" {
		return splitFolders{train: root}, nil
	}
	return splitFolders{folder("train"), cmp.Or(folder("validation"), folder("val")), folder("test")}, nil
}

// findImages returns the files of a split, sorted by name, and its classes. With known classes another one is an error.
func findImages(folder string, known []string, limit int) (files []data.File, classes []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		found := len(files)
		if files, err = appendImages(files, folder, entry.Name()); err != nil {
			return nil, nil, err
		}
		switch {
		case len(files) == found:
			return nil, nil, fmt.Errorf("%s: no .png, .jpg or .jpeg file", filepath.Join(folder, entry.Name()))
		case known != nil && !slices.Contains(known, entry.Name()):
			return nil, nil, fmt.Errorf("%s: class %q is none of the classes of training, %s", folder, entry.Name(), data.SomeOf(known))
		}
		classes = append(classes, entry.Name())
	}
	switch {
	case len(classes) == 0:
		return nil, nil, fmt.Errorf("%s: no folder, want one for each class with .png, .jpg or .jpeg files in it", folder)
	case known == nil && len(classes) == 1:
		return nil, nil, fmt.Errorf("%s: only the class %q, want at least two", folder, classes[0])
	case len(classes) > data.MaxLabels:
		return nil, nil, fmt.Errorf("%s: %d classes, want at most %d", folder, len(classes), data.MaxLabels)
	}
	byName := func(a, b data.File) int { return cmp.Compare(a.Name, b.Name) }
	if limit > 0 && len(files) > limit {
		slices.SortFunc(files, func(a, b data.File) int {
			return cmp.Or(cmp.Compare(data.NameHash(a.Name), data.NameHash(b.Name)), byName(a, b))
		})
		files = files[:limit]
	}
	slices.SortFunc(files, byName)
	return files, classes, nil
}

// appendImages appends the image files of a class.
func appendImages(files []data.File, folder, class string) ([]data.File, error) {
	err := filepath.WalkDir(filepath.Join(folder, class), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".png", ".jpg", ".jpeg":
		default:
			return nil
		}
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		files = append(files, data.File{Path: path, Name: filepath.ToSlash(name), Size: info.Size()})
		return nil
	})
	return files, err
}

// classesOf are the classes of files in their folders.
func classesOf(files []data.File, labels []string) []int32 {
	of := make([]int32, len(files))
	for i, file := range files {
		class, _, _ := strings.Cut(file.Name, "/")
		of[i] = int32(slices.Index(labels, class))
	}
	return of
}

// readImages decodes a source's files, whose classes are known, by as many goroutines as there are processors; each writes to places of its own.
func readImages(ctx context.Context, source string, files []data.File, of []int32, size imageSize, scale bool, how Scaling) (*Images, error) {
	n := imageChannels * size.height * size.width
	x := &Images{Channels: imageChannels, Height: size.height, Width: size.width, pixels: make([]uint8, n*len(files)), labels: of}
	for _, file := range files {
		x.names = append(x.names, file.Name)
	}
	failures := make([]error, len(files))
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(files) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				if failures[i] = readImage(x.pixels[i*n:(i+1)*n], files[i].Path, size, scale, how); failures[i] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, err := range failures {
		if err != nil { // the first in the order of the corpus
			return nil, fmt.Errorf("data: source %q: %w", source, err)
		}
	}
	return x, nil
}
