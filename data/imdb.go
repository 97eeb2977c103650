package data

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
)

// imdbModule has the Large Movie Review Dataset (Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011):
// 25,000 reviews to train on and 25,000 to test on, half of each negative and half positive, one file each, UTF-8.
var imdbModule = goModule{
	version: "github.com/cdipaolo/sentiment@v0.0.0-20200617002423-c697f64e7f10",
	source:  "imdb",
	files:   "train/neg/*.txt, train/pos/*.txt, test/neg/*.txt and test/pos/*.txt (the folder aclImdb of https://ai.stanford.edu/~amaas/data/sentiment)",
}

// imdbLabels are the classes in the order of their ids, and the folders they are in.
var imdbLabels, imdbFolders = []string{"negative", "positive"}, []string{"neg", "pos"}

// openIMDB reads the reviews. The folder test is the test split; validation is held out of train.
//
// Line breaks come as "<br />" and are turned into line breaks. Nothing else is cleaned: the few other tags and entities are
// what the reviewers typed. Of the 50,000 texts 418 repeat another one, 123 across the two folders with the same label;
// they stay, so that test figures compare with published ones. Repetitions within train fall into one split.
func openIMDB(ctx context.Context, cfg Config) (*labelledCorpus, error) {
	root, err := findIMDB(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c := &labelledCorpus{labels: imdbLabels}
	for _, half := range []struct {
		name string
		into **labelledTexts
	}{{"train", &c.train}, {"test", &c.test}} {
		files, labels, err := findReviews(filepath.Join(root, half.name), cfg)
		if err != nil {
			return nil, err
		}
		if *half.into, err = readReviews(ctx, files, labels); err != nil {
			return nil, err
		}
		c.files += len(files)
	}
	return c, nil
}

// findIMDB returns the folder that has train and test.
func findIMDB(ctx context.Context, cfg Config) (string, error) {
	if cfg.Root != "" {
		return cfg.Root, nil
	}
	dir, err := imdbModule.fetch(ctx)
	return filepath.Join(dir, "datasets"), err
}

// findReviews returns the files of a split, sorted by class and name, and their classes.
func findReviews(folder string, cfg Config) ([]source, []int32, error) {
	var files []source
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
			files = append(files, source{path: filepath.Join(folder, name, entry.Name()), name: name + "/" + entry.Name()})
		}
		if len(files) == found {
			return nil, nil, fmt.Errorf("data: source \"imdb\": no .txt file in %s; want %s", filepath.Join(folder, name), imdbModule.files)
		}
	}
	byName := func(a, b source) int { return cmp.Compare(a.name, b.name) }
	if cfg.MaxExamples > 0 && len(files) > cfg.MaxExamples {
		slices.SortFunc(files, func(a, b source) int { return cmp.Or(cmp.Compare(nameHash(a.name), nameHash(b.name)), byName(a, b)) })
		files = files[:cfg.MaxExamples]
	}
	slices.SortFunc(files, byName)
	labels := make([]int32, len(files))
	for i, file := range files {
		info, err := os.Stat(file.path)
		if err != nil {
			return nil, nil, imdbError(err)
		}
		files[i].size = info.Size()
		labels[i] = int32(slices.Index(imdbFolders, file.name[:strings.IndexByte(file.name, '/')]))
	}
	return files, labels, nil
}

func imdbError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data: source \"imdb\": %w; want %s", err, imdbModule.files)
	}
	return fmt.Errorf("data: source \"imdb\": %w", err)
}

// readReviews reads files, each one an example, by as many goroutines as there are processors: opening 50,000 files takes
// longer than reading them.
func readReviews(ctx context.Context, files []source, labels []int32) (*labelledTexts, error) {
	reviews := make([]string, len(files))
	failures := make([]error, len(files))
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var buffer []byte
			for i := int(taken.Add(1)) - 1; i < len(files) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				if buffer, failures[i] = appendFile(buffer[:0], files[i].path); failures[i] != nil {
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
	l := &labelledTexts{labels: labels}
	l.text = make([]byte, 0, totalSize(files)+len(files))
	for i, file := range files {
		if failures[i] != nil {
			return nil, fmt.Errorf("data: source \"imdb\": %w", failures[i]) // the first in the order of the corpus
		}
		if strings.TrimSpace(reviews[i]) == "" {
			return nil, fmt.Errorf("data: source \"imdb\": %s is empty, want a review", file.path)
		}
		if at := invalidAt(reviews[i]); at >= 0 {
			return nil, fmt.Errorf("data: source \"imdb\": %s: not valid UTF-8 at byte %d (0x%02x); convert the file", file.path, at, reviews[i][at])
		}
		l.addText(reviews[i], file.path)
	}
	return l, nil
}

// lineBreaks turns the markup of line breaks into what it stands for.
var lineBreaks = strings.NewReplacer("<br />", "\n", "<br/>", "\n", "<br>", "\n")
