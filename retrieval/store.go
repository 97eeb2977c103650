package retrieval

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/task"
)

// Names of an index's files. Each but the first has the beginning of its SHA-256 in its name, so that old and new stand beside each
// other until index.json, written last, names the new ones.
const (
	infoFile    = "index.json"
	itemsFile   = "items.jsonl"
	queriesFile = "queries.jsonl"
	scoresFile  = "scores.f32"
	crossedFile = "crossed.f32"
	vectorsFile = "vectors.f32"

	// Journal has the pairs that a build, or items that are being added, have scored so far. One that is put into the folder before
	// is taken at its word.
	Journal = "pairs.journal"
)

// Save writes the index into a folder, whose lock the caller holds. Equal indexes give equal bytes.
func (x *Index) save(dir string) error {
	files := map[string][]byte{
		itemsFile:   lines(x.Items),
		queriesFile: lines(x.Queries),
		scoresFile:  floats(x.scores),
	}
	if x.crossed != nil {
		files[crossedFile] = floats(x.crossed)
	}
	if x.vectors != nil {
		files[vectorsFile] = floats(x.vectors)
	}
	x.Info.Items = len(x.Items)
	x.Info.Files = map[string]string{}
	for name, content := range files {
		sum := sha256.Sum256(content)
		x.Info.Files[name] = hex.EncodeToString(sum[:])
		path := filepath.Join(dir, storedName(name, x.Info.Files[name]))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := checkpoints.WriteFileAtomic(path, content); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(x.Info, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(filepath.Join(dir, infoFile), append(text, '\n')); err != nil {
		return err
	}
	return x.sweep(dir)
}

// sweep deletes what is left of an index that stood in the folder before.
func (x *Index) sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for name, hash := range x.Info.Files {
		kept[storedName(name, hash)] = true
	}
	for _, e := range entries {
		for _, name := range []string{itemsFile, queriesFile, scoresFile, crossedFile, vectorsFile} {
			stem, end, _ := strings.Cut(name, ".")
			if strings.HasPrefix(e.Name(), stem+"-") && strings.HasSuffix(e.Name(), "."+end) && !kept[e.Name()] {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func storedName(name, hash string) string {
	stem, end, _ := strings.Cut(name, ".")
	return stem + "-" + hash[:12] + "." + end
}

// Open reads an index. A file that is damaged is named.
func Open(dir string) (*Index, error) {
	text, err := data.ReadFile(filepath.Join(dir, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, Journal)); err == nil {
			return nil, task.Refusef("%s: the index is not finished; go on by running `model index build` again with the same arguments", dir)
		}
		return nil, task.Refusef("%s is no index; make one by: %s", dir, shell.Command("model", "index", "build", "CHECKPOINT", "--items", "FILE", "--queries", "FILE", "-o", dir))
	}
	if err != nil {
		return nil, err
	}
	x := &Index{}
	if err := json.Unmarshal(text, &x.Info); err != nil {
		return nil, fmt.Errorf("%s: %w; build the index anew", filepath.Join(dir, infoFile), err)
	}
	r := reader{dir: dir, files: x.Info.Files}
	r.lines(itemsFile, &x.Items)
	r.lines(queriesFile, &x.Queries)
	n := len(x.Items)
	x.scores = r.floats(scoresFile, len(x.Queries), n)
	if _, has := x.Info.Files[crossedFile]; has {
		x.crossed = r.floats(crossedFile, x.Info.Crossed, n)
	}
	if _, has := x.Info.Files[vectorsFile]; has {
		x.vectors = r.floats(vectorsFile, n, 0)
	}
	for _, at := range x.Info.Anchors {
		if r.err == nil && (at < 0 || at >= n) {
			r.err = fmt.Errorf("anchor %d of %d items", at, n)
		}
	}
	if r.err == nil && (len(x.Info.Anchors) == 0 || len(x.Info.Ridges) == 0 || n == 0 || len(x.Queries) == 0 || x.Info.Crossed > len(x.Info.Anchors)) {
		r.err = errors.New("index.json lacks anchors or ridges")
	}
	if r.err != nil {
		return nil, fmt.Errorf("retrieval: %s: %w; build the index anew", dir, r.err)
	}
	return x, nil
}

// reader reads an index's files until one is wrong.
type reader struct {
	dir   string
	files map[string]string
	err   error
}

func (r *reader) file(name string) []byte {
	if r.err != nil {
		return nil
	}
	want := r.files[name]
	if len(want) != 64 {
		r.err = fmt.Errorf("index.json names no %s", name)
		return nil
	}
	stored := storedName(name, want)
	text, err := os.ReadFile(filepath.Join(r.dir, stored))
	if err != nil {
		r.err = err
		return nil
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
		r.err = fmt.Errorf("%s is damaged: its SHA-256 is not that of index.json", stored)
		return nil
	}
	return text
}

// lines reads a JSON value a line into a slice.
func (r *reader) lines(name string, into any) {
	text := r.file(name)
	if r.err == nil {
		list := append([]byte("["), bytes.Join(bytes.Split(bytes.TrimSpace(text), []byte("\n")), []byte(","))...)
		if r.err = json.Unmarshal(append(list, ']'), into); r.err != nil {
			r.err = fmt.Errorf("%s: %w", name, r.err)
		}
	}
}

// floats reads a matrix; 0 columns: as many as there are.
func (r *reader) floats(name string, rows, cols int) *factor.Matrix {
	text := r.file(name)
	if r.err != nil || rows == 0 {
		return nil
	}
	if cols == 0 {
		cols = len(text) / 4 / rows
	}
	if cols == 0 || len(text) != 4*rows*cols {
		r.err = fmt.Errorf("%s has %d bytes; want %d x %d numbers of 4", name, len(text), rows, cols)
		return nil
	}
	m := factor.NewMatrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(text[4*i:])))
	}
	return m
}

func floats(m *factor.Matrix) []byte {
	out := make([]byte, 0, 4*len(m.Data))
	for _, v := range m.Data {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
	}
	return out
}

// lines writes a JSON value a line.
func lines[T any](all []T) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, v := range all {
		_ = e.Encode(v) // texts and structs of texts
	}
	return b.Bytes()
}

// lock holds the folder of an index.
func lock(dir string) (unlock func(), err error) {
	unlock, err = checkpoints.Lock(dir)
	if errors.Is(err, checkpoints.ErrLocked) {
		return nil, task.Refusef("%s: another process is changing this index; wait until it has ended", dir)
	}
	return unlock, err
}
