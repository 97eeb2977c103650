package labelled

import (
	"cmp"
	"context"
	"errors"
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

// imdbModule has the Large Movie Review Dataset (Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011):
// 25,000 reviews to train on and 25,000 to test on, half of each negative and half positive, one file each, UTF-8.
var imdbModule = data.Module{
	Version: "github.com/cdipaolo/sentiment@v0.0.0-20200617002423-c697f64e7f10",
	Source:  "imdb",
	Files:   "train/neg/*.txt, train/pos/*.txt, test/neg/*.txt and test/pos/*.txt (the folder aclImdb of https://ai.stanford.edu/~amaas/data/sentiment)",
}

// imdbLabels are the classes in the order of their ids, and the folders they are in.
var imdbLabels, imdbFolders = []string{"negative", "positive"}, []string{"neg", "pos"}

// Read implements Source. It reads the reviews. The folder test is the test split; validation is held out of train.
//
// Line breaks come as "<br />" and are turned into line breaks. Nothing else is cleaned: the few other tags and entities are
// what the reviewers typed. 418 of the 50,000 texts repeat another one, 123 across the two folders with the same label;
// they stay, so that test figures compare with published ones. Repetitions within train fall into one split.
func (s IMDB) Read(ctx context.Context, labels []string) (*Corpus, error) {
	if labels != nil && !slices.Equal(labels, imdbLabels) {
		return nil, fmt.Errorf(`data: source "imdb" has labels %q, but the model was trained on %q`, imdbLabels, labels)
	}
	root, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	c := &Corpus{Labels: imdbLabels}
	for _, half := range []struct {
		name string
		into **Texts
	}{{"train", &c.Train}, {"test", &c.Test}} {
		files, labels, err := s.findReviews(filepath.Join(root, half.name))
		if err != nil {
			return nil, err
		}
		if *half.into, err = readReviews(ctx, files, labels); err != nil {
			return nil, err
		}
		c.Files += len(files)
	}
	return c, nil
}

// Look implements Source.
func (s IMDB) Look(ctx context.Context) (data.Survey, error) {
	root, err := s.find(ctx)
	if err != nil {
		return data.Survey{}, err
	}
	found := data.Survey{Labels: imdbLabels}
	for _, half := range []string{"train", "test"} {
		files, _, err := s.findReviews(filepath.Join(root, half))
		if err != nil {
			return data.Survey{}, err
		}
		found.Files, found.Bytes = found.Files+len(files), found.Bytes+int64(data.TotalSize(files))
	}
	return found, nil
}

// find returns the folder that has train and test.
func (s IMDB) find(ctx context.Context) (string, error) {
	if s.Root != "" {
		return s.Root, nil
	}
	dir, err := imdbModule.Fetch(ctx)
	return filepath.Join(dir, "datasets"), err
}

// findReviews returns the files of a split, sorted by class and name, and their classes.
func (s IMDB) findReviews(folder string) ([]data.File, []int32, error) {
	var files []data.File
	for _, name := range imdbFolders {
		entries, err := os.ReadDir(filepath.Join(folder, name))
		if err != nil {
			return nil, nil, imdbError(err)
		}
		found := len(files)
		for _, entry := range entries {
			if !entry.Type().IsRegular() || filepath.Ext(entry.Name()) != ".txt" {
				continue
			}
			files = append(files, data.File{Path: filepath.Join(folder, name, entry.Name()), Name: name + "/" + entry.Name()})
		}
		if len(files) == found {
			return nil, nil, fmt.Errorf("data: source \"imdb\": no .txt file in %s; want %s", filepath.Join(folder, name), imdbModule.Files)
		}
	}
	byName := func(a, b data.File) int { return cmp.Compare(a.Name, b.Name) }
	if s.MaxExamples > 0 && len(files) > s.MaxExamples {
		slices.SortFunc(files, func(a, b data.File) int {
			return cmp.Or(cmp.Compare(data.NameHash(a.Name), data.NameHash(b.Name)), byName(a, b))
		})
		files = files[:s.MaxExamples]
	}
	slices.SortFunc(files, byName)
	labels := make([]int32, len(files))
	for i, file := range files {
		info, err := os.Stat(file.Path)
		if err != nil {
			return nil, nil, imdbError(err)
		}
		files[i].Size = info.Size()
		labels[i] = int32(slices.Index(imdbFolders, file.Name[:strings.IndexByte(file.Name, '/')]))
	}
	return files, labels, nil
}

func imdbError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data: source \"imdb\": %w; want %s", err, imdbModule.Files)
	}
	return fmt.Errorf("data: source \"imdb\": %w", err)
}

// readReviews reads files, each one an example, by as many goroutines as there are processors: opening 50,000 files takes
// longer than reading them.
func readReviews(ctx context.Context, files []data.File, labels []int32) (*Texts, error) {
	reviews := make([]string, len(files))
	failures := make([]error, len(files))
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var buffer []byte
			for i := int(taken.Add(1)) - 1; i < len(files) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				if buffer, failures[i] = data.AppendFile(buffer[:0], files[i].Path); failures[i] != nil {
					return
				}
				reviews[i] = lineBreaks.Replace(string(buffer))
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &Texts{Labels: labels}
	l.Text = make([]byte, 0, data.TotalSize(files)+len(files))
	for i, file := range files {
		if failures[i] != nil {
			return nil, fmt.Errorf("data: source \"imdb\": %w", failures[i]) // the first in the order of the corpus
		}
		if strings.TrimSpace(reviews[i]) == "" {
			return nil, fmt.Errorf("data: source \"imdb\": %s is empty, want a review", file.Path)
		}
		if at := data.InvalidUTF8(reviews[i]); at >= 0 {
			return nil, fmt.Errorf("data: source \"imdb\": %s: not valid UTF-8 at byte %d (0x%02x); convert the file", file.Path, at, reviews[i][at])
		}
		l.AddText(reviews[i], file.Path)
	}
	return l, nil
}

// lineBreaks turns the markup of line breaks into what it stands for.
var lineBreaks = strings.NewReplacer("<br />", "\n", "<br/>", "\n", "<br>", "\n")
