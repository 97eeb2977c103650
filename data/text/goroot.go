package text

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sparrow/data"
)

// Read implements Source. It reads the .go files of the Go distribution. Packages (directories) are held out as a whole for
// validation, because files of one package repeat each other's names and idioms. They are taken in the order of the hashes
// of their slash-separated paths, each that still fits into the validation share, which gives every machine the same
// choice without a list, and nearly the same one with the next version of Go.
func (s Goroot) Read(ctx context.Context) (*Splits, error) {
	root, err := findGoroot(ctx)
	if err != nil {
		return nil, err
	}
	return s.readTree(ctx, filepath.Join(root, "src"))
}

// Look implements Source.
func (s Goroot) Look(ctx context.Context) (data.Survey, error) {
	root, err := findGoroot(ctx)
	if err != nil {
		return data.Survey{}, err
	}
	train, validation, err := s.findFiles(ctx, filepath.Join(root, "src"))
	if err != nil {
		return data.Survey{}, err
	}
	return data.Survey{Files: len(train) + len(validation), Bytes: int64(data.TotalSize(train) + data.TotalSize(validation))}, nil
}

// findGoroot returns the root of a Go distribution: that of the environment variable GOROOT, else of the go command.
func findGoroot(ctx context.Context) (string, error) {
	const remedy = `install Go (https://go.dev/dl), or set GOROOT to a Go distribution, or train on your own files with source = "text"`
	root, origin := os.Getenv("GOROOT"), "environment variable GOROOT"
	if root == "" {
		command := exec.CommandContext(ctx, "go", "env", "GOROOT")
		// Away from any go.mod and with the installed toolchain only: a go.mod nearby must neither change the corpus
		// nor start a download.
		command.Dir = os.TempDir()
		command.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off")
		output, err := command.Output()
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", fmt.Errorf(`data: source "goroot" needs a Go distribution, and "go env GOROOT" failed: %w; %s`, err, remedy)
		}
		root, origin = strings.TrimSpace(string(output)), `"go env GOROOT"`
	}
	if info, err := os.Stat(filepath.Join(root, "src")); err != nil || !info.IsDir() {
		return "", fmt.Errorf(`data: source "goroot": %s is %q, which has no folder src; %s`, origin, root, remedy)
	}
	return root, nil
}

// readTree reads the .go files under root, sorted by path. Folders named testdata are skipped (their files need not
// be Go that compiles), and so are files that are not UTF-8.
func (s Goroot) readTree(ctx context.Context, root string) (*Splits, error) {
	train, validation, err := s.findFiles(ctx, root)
	if err != nil {
		return nil, err
	}
	c := &Splits{}
	for _, half := range []struct {
		split *data.Documents
		files []data.File
	}{{&c.Train, train}, {&c.Validation, validation}} {
		n, err := readDocuments(ctx, half.split, half.files)
		if err != nil {
			return nil, err
		}
		c.Files += n
	}
	return c, nil
}

// findFiles returns the files of both splits.
func (s Goroot) findFiles(ctx context.Context, root string) (train, validation []data.File, err error) {
	var all []data.File
	packages := map[string]int64{} // sizes
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return ctx.Err()
		}
		if !entry.Type().IsRegular() || filepath.Ext(file) != ".go" {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		all = append(all, data.File{Path: file, Name: name, Size: info.Size()})
		packages[path.Dir(name)] += info.Size()
		return nil
	})
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("data: source \"goroot\": %w", err)
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("data: source \"goroot\": no .go file under %s", root)
	}
	held := heldOut(packages, int64(float64(data.TotalSize(all))*s.ValidationShare))
	for _, file := range all {
		if held[path.Dir(file.Name)] {
			validation = append(validation, file)
		} else {
			train = append(train, file)
		}
	}
	if s.MaxBytes > 0 {
		// Each split gets its share of the cap, so that a small corpus still has both.
		share := int64(float64(s.MaxBytes) * s.ValidationShare)
		train, validation = data.CapFiles(train, s.MaxBytes-share), data.CapFiles(validation, max(share, 1))
	} else {
		train, validation = data.CapFiles(train, 0), data.CapFiles(validation, 0)
	}
	return train, validation, nil
}

// heldOut returns the packages to hold out for a validation split of at most limit bytes.
func heldOut(packages map[string]int64, limit int64) map[string]bool {
	folders := make([]data.File, 0, len(packages))
	for name, size := range packages {
		folders = append(folders, data.File{Name: name, Size: size})
	}
	held := map[string]bool{}
	for _, folder := range data.CapFiles(folders, max(limit, 1)) {
		held[folder.Name] = true
	}
	return held
}

// readDocuments reads files into s, each one a document, and returns how many are UTF-8 and were kept.
func readDocuments(ctx context.Context, s *data.Documents, files []data.File) (int, error) {
	s.Text = make([]byte, 0, data.TotalSize(files)+len(files)+1)
	kept := 0
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		start := len(s.Text)
		var err error
		if s.Text, err = data.AppendFile(s.Text, file.Path); err != nil {
			return 0, fmt.Errorf("data: %w", err)
		}
		if text := s.Text[start:]; len(text) == 0 || !utf8.Valid(text) {
			s.Text = s.Text[:start]
			continue
		}
		s.Close(start, file.Path, 0)
		kept++
	}
	return kept, nil
}
