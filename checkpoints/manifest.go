package checkpoints

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// FormatVersion is the version of the folder layout that this package writes and reads.
const FormatVersion = 1

const (
	manifestName = "manifest.json"
	// maxManifest bounds what is read before anything is verified: a manifest takes about 300 bytes an array.
	maxManifest = 64 << 20
)

// Manifest lists everything in a checkpoint folder.
type Manifest struct {
	FormatVersion int      `json:"format_version"`
	Kind          string   `json:"kind"` // of the model, as in its config
	Step          int      `json:"step"`
	Parent        *Lineage `json:"parent"`        // the checkpoint this one was made from, or null
	ConfigSHA256  string   `json:"config_sha256"` // of config.toml; "" without one
	Files         []File   `json:"files"`         // by name
	SHA256        string   `json:"sha256"`        // of this manifest with "" in this place

	Calibration *Calibration `json:"calibration,omitempty"` // what the weights were chosen by; nil: by no data
}

// Calibration names the data by which a compression chose a checkpoint's weights.
type Calibration struct {
	Examples int    `json:"examples"` // samples that were read
	Length   int    `json:"length"`   // of the longest, in tokens or pixels
	Seed     uint64 `json:"seed"`     // of their order
	Data     string `json:"data"`     // SHA-256 of the data that they were drawn from
}

// Lineage names a checkpoint that another one came from.
type Lineage struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // of its manifest (the value of its sha256 key)
}

// File is one file of a checkpoint.
type File struct {
	Name    string  `json:"name"`
	Size    int64   `json:"size"` // bytes
	SHA256  string  `json:"sha256"`
	Entries []Entry `json:"entries,omitempty"` // the arrays of an npz file, in their order
}

// Entry is one array of an npz file. Size and SHA256 are those of its npy file (header and data), wherever in the zip
// file it lies.
type Entry struct {
	Name   string `json:"name"`
	Shape  []int  `json:"shape"`
	DType  string `json:"dtype"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// elements is the number of elements; the manifest's check has made sure that it exists.
func (e Entry) elements() int {
	dt, _ := dtypeNamed(e.DType)
	n, _ := elements(e.Shape, dt.size)
	return n
}

// describe is how messages write an array's type: `float32 [2 3]`.
func describe(dtypeName string, shape []int) string {
	return fmt.Sprintf("%s %v", dtypeName, append([]int{}, shape...))
}

func (m Manifest) file(name string) (File, bool) {
	for _, f := range m.Files {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}

// encode returns the one text that stands for a manifest.
func (m Manifest) encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", " ")
	return append(text, '\n'), err
}

// seal returns the manifest with its own SHA-256.
func (m Manifest) seal() (Manifest, error) {
	m.SHA256 = ""
	text, err := m.encode()
	m.SHA256 = hashOf(text)
	return m, err
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// errVersion marks a folder of another format version: complete as far as one can tell, but not readable here.
var errVersion = errors.New("unknown format version")

// readManifest reads and checks the manifest of a folder and the sizes of the files it lists.
func readManifest(p place) (Manifest, error) {
	path := p.path(manifestName)
	text, err := p.read(manifestName, maxManifest)
	if err != nil {
		return Manifest{}, failf(err, "%s: %s", path, reason(err))
	}
	m, err := parseManifest(text)
	if err != nil {
		return Manifest{}, failf(err, "%s: %s", path, err)
	}
	for _, f := range m.Files {
		file := p.path(f.Name)
		info, err := p.stat(f.Name)
		if err != nil {
			return Manifest{}, failf(err, "%s: %s, but %s lists it", file, reason(err), manifestName)
		}
		if !info.Mode().IsRegular() || info.Size() != f.Size {
			return Manifest{}, failf(nil, "%s: %d bytes, manifest says %d: the file is damaged", file, info.Size(), f.Size)
		}
	}
	return m, nil
}

// parseManifest accepts exactly the texts that encode writes.
func parseManifest(text []byte) (Manifest, error) {
	var version struct {
		FormatVersion *int `json:"format_version"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Manifest{}, fmt.Errorf("not valid JSON (%s): the file is damaged", err)
	}
	if v := version.FormatVersion; v == nil {
		return Manifest{}, errors.New("no format_version: not the manifest of a checkpoint")
	} else if *v != FormatVersion {
		return Manifest{}, fmt.Errorf("%w %d; this program reads version %d: use the program that wrote it", errVersion, *v, FormatVersion)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("not a manifest (%s): the file is damaged", err)
	}
	sealed, err := m.seal()
	if err != nil {
		return Manifest{}, err
	}
	if sealed.SHA256 != m.SHA256 {
		return Manifest{}, fmt.Errorf("SHA-256 of the manifest is %s, it says %s of itself: the file is damaged or edited",
			short(sealed.SHA256), short(m.SHA256))
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
		return Manifest{}, errors.New("not written as this program writes it: the file is damaged or edited")
	}
	return m, m.check()
}

// check refuses a manifest that no Write makes, so that what follows can rely on names, sizes and shapes.
func (m Manifest) check() error {
	last := ""
	for _, f := range m.Files {
		if err := checkFileName(f.Name); err != nil {
			return err
		}
		if f.Name <= last {
			return fmt.Errorf("file %q follows %q; want names in order, once each", f.Name, last)
		}
		last = f.Name
		if f.Size < 0 {
			return fmt.Errorf("file %q has size %d", f.Name, f.Size)
		}
		if err := checkEntries(f); err != nil {
			return fmt.Errorf("file %q: %w", f.Name, err)
		}
	}
	return nil
}

func checkEntries(f File) error {
	left := f.Size
	seen := make(map[string]bool, len(f.Entries))
	for _, e := range f.Entries {
		if err := checkArrayName(e.Name); err != nil {
			return err
		}
		if seen[e.Name] {
			return fmt.Errorf("entry %q is listed twice", e.Name)
		}
		seen[e.Name] = true
		dt, ok := dtypeNamed(e.DType)
		if !ok {
			return fmt.Errorf("entry %q has unknown dtype %q", e.Name, e.DType)
		}
		n, err := elements(e.Shape, dt.size)
		if err != nil {
			return fmt.Errorf("entry %q %w", e.Name, err)
		}
		if want := int64(len(npyHeader(dt, e.Shape))) + int64(n)*int64(dt.size); e.Size != want {
			return fmt.Errorf("entry %q has size %d; want %d for %s", e.Name, e.Size, want, describe(e.DType, e.Shape))
		}
		if e.Size > left {
			return fmt.Errorf("entry %q has size %d; the file has only %d bytes left", e.Name, e.Size, left)
		}
		left -= e.Size
	}
	return nil
}

// checkFileName accepts plain names only: a manifest must not lead out of its folder.
func checkFileName(name string) error {
	if name == "" || name == manifestName || name[0] == '.' || strings.ContainsAny(name, "/\\:\x00") ||
		filepath.Base(name) != name {
		return fmt.Errorf("file name %q is not usable; want a plain name, not %s", name, manifestName)
	}
	return nil
}

// short cuts a hash to what a person compares.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return hash
}
