package text

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sparrow/data"
)

// Read implements Source. It reads the user's own files, sorted by path, each one a document of either split: its first part trains, its
// last ValidationShare, cut at a line break, validates. The end of each file rather than whole files, because a corpus
// is often a single file; and one piece rather than scattered lines, because neighbouring lines give each other away.
//
// With MaxBytes, whole files are taken in the order of the hashes of their paths while they fit; when none fits, the
// beginning of the first one.
func (s Files) Read(ctx context.Context) (*Splits, error) {
	chosen, limit, err := s.find()
	if err != nil {
		return nil, err
	}
	c := &Splits{}
	var text []byte
	for _, file := range chosen {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if text, err = data.AppendFile(text[:0], file.Path); err != nil {
			return nil, fmt.Errorf("data: paths: %w", err)
		}
		if limit >= 0 && int64(len(text)) > limit {
			text = text[:lineCutBefore(text, int(limit))]
		}
		if len(text) == 0 {
			continue
		}
		cut := lineCut(text, int(float64(len(text))*(1-s.ValidationShare)))
		c.Train.Add(text[:cut], file.Path, 0)
		c.Validation.Add(text[cut:], file.Path, cut)
		c.Files++
	}
	return c, nil
}

// Look implements Source.
func (s Files) Look(context.Context) (data.Survey, error) {
	files, limit, err := s.find()
	if err != nil {
		return data.Survey{}, err
	}
	found := data.Survey{Files: len(files), Bytes: int64(data.TotalSize(files))}
	if limit >= 0 {
		found.Bytes = min(found.Bytes, limit)
	}
	return found, nil
}

// find returns the files that Read reads, and how much of a single one that is too large, in bytes; -1: all of each.
func (s Files) find() (chosen []data.File, limit int64, err error) {
	files, err := expandPaths(s.Paths)
	if err != nil {
		return nil, 0, err
	}
	if chosen = data.CapFiles(files, s.MaxBytes); len(chosen) > 0 {
		return chosen, -1, nil
	}
	return files[:1], s.MaxBytes, nil
}

// expandPaths returns the files of paths, sorted by path and without repetition. A path that names no file, a glob
// without a match and a folder are errors.
func expandPaths(paths []string) ([]data.File, error) {
	var files []data.File
	seen := map[string]bool{}
	for i, pattern := range paths {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("data: paths[%d]: glob %q: %w", i, pattern, err)
		}
		if _, err := os.Lstat(pattern); err == nil {
			matches = []string{pattern} // a file whose name has brackets is itself before it is a glob
		}
		if len(matches) == 0 {
			if strings.ContainsAny(pattern, "*?[") {
				return nil, fmt.Errorf("data: paths[%d]: no file matches %q", i, pattern)
			}
			return nil, fmt.Errorf("data: paths[%d]: %q does not exist", i, pattern)
		}
		regular := 0
		for _, match := range matches {
			info, err := os.Stat(match)
			if err != nil {
				return nil, fmt.Errorf("data: paths[%d]: %w", i, err)
			}
			if info.IsDir() {
				continue // a glob may well match folders; only having nothing else is an error
			}
			regular++
			if match = filepath.Clean(match); !seen[match] {
				seen[match] = true
				files = append(files, data.File{Path: match, Name: filepath.ToSlash(match), Size: info.Size()})
			}
		}
		if regular == 0 {
			return nil, fmt.Errorf("data: paths[%d]: %q is a folder, want a file or a glob such as %q", i, pattern, filepath.Join(pattern, "*.txt"))
		}
	}
	return data.CapFiles(files, 0), nil
}
