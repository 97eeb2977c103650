package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxIndex is more than the index of any model takes, maxShards more than it has files.
const (
	maxIndex  = 64 << 20
	maxShards = 4096
)

// OpenShards opens a model that lies in several files beside their index (model.safetensors.index.json,
// pytorch_model.bin.index.json). The index and the files must name the same tensors.
func OpenShards(index string, open func(path string) (*Set, error)) (*Set, error) {
	where, files, err := readIndex(index)
	if err != nil {
		return nil, Fail(index, err)
	}
	all := &Set{byName: map[string]int{}}
	for _, file := range files {
		s, err := open(filepath.Join(filepath.Dir(index), file))
		if err != nil {
			_ = all.Close()
			return nil, err
		}
		all.close = append(all.close, s.close...)
		for _, t := range s.tensors {
			if where[t.Name] != file {
				_ = all.Close()
				return nil, Fail(index, fmt.Errorf("tensor %s is in %s; the index says %s", Quote(t.Name), Quote(file), Quote(where[t.Name])))
			}
			all.byName[t.Name] = len(all.tensors)
			all.tensors = append(all.tensors, t)
		}
	}
	for name := range where {
		if _, ok := all.byName[name]; !ok {
			missing := leastMissing(where, all.byName)
			_ = all.Close()
			return nil, Fail(index, fmt.Errorf("tensor %s is not in %s, where the index says it is", Quote(missing), Quote(where[missing])))
		}
	}
	return all, nil
}

// leastMissing is the first name in order that a file lacks, so that the message does not depend on a map's order.
func leastMissing(where map[string]string, have map[string]int) string {
	var names []string
	for name := range where {
		if _, ok := have[name]; !ok {
			names = append(names, name)
		}
	}
	return slices.Min(names)
}

// readIndex returns the file of each tensor, and the files in order.
func readIndex(path string) (where map[string]string, files []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(text) > maxIndex:
		return nil, nil, fmt.Errorf("the index has more than %d bytes", maxIndex)
	case !utf8.Valid(text):
		return nil, nil, errors.New("the index is not UTF-8")
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, nil, fmt.Errorf("the index is not readable: %s", cut(err.Error()))
	}
	if len(index.WeightMap) == 0 {
		return nil, nil, errors.New("the index has no weight_map")
	}
	seen := map[string]bool{}
	for _, file := range index.WeightMap {
		if seen[file] {
			continue
		}
		seen[file] = true
		files = append(files, file)
	}
	slices.Sort(files)
	if len(files) > maxShards {
		return nil, nil, fmt.Errorf("the index names %d files; want at most %d", len(files), maxShards)
	}
	for _, file := range files {
		if file != filepath.Base(file) || !filepath.IsLocal(file) || file == "." || strings.ContainsAny(file, "/\\\x00") {
			return nil, nil, fmt.Errorf("the index names the file %s; want a name without a path", Quote(file))
		}
	}
	return index.WeightMap, files, nil
}

// cut bounds a message of another package, which may hold a stranger's text.
func cut(text string) string {
	if len(text) > 2*quoted {
		return text[:2*quoted] + "..."
	}
	return text
}
