package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
)

// subject is something that commands read, in a folder that holds all of them.
type subject struct {
	kind     string // for the report
	commands [][]string
	change   func(m mutator, work string) (string, error)
}

// prepare fills a folder with sound subjects and lists them.
func prepare(ctx context.Context, bin, seeds, dir string) ([]subject, error) {
	for _, name := range []string{"configs", "data"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(seeds, name))); err != nil {
			return nil, err
		}
	}
	archives, err := filepath.Glob(filepath.Join(seeds, "runs", "*.zip"))
	if err != nil || len(archives) == 0 {
		return nil, fmt.Errorf("no runs in %s: start it from the root of the project", seeds)
	}
	var all []subject
	for _, path := range archives {
		name := strings.TrimSuffix(filepath.Base(path), ".zip")
		if err := unzip(path, filepath.Join(dir, "runs", name)); err != nil {
			return nil, err
		}
		s, err := checkpointSubject(dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	configs, err := filepath.Glob(filepath.Join(dir, "configs", "*.toml"))
	if err != nil {
		return nil, err
	}
	for _, path := range configs {
		all = append(all, configSubject(filepath.Base(path)))
	}
	if err := makeCache(ctx, bin, dir); err != nil {
		return nil, err
	}
	return append(all, cacheSubject(), dataSubject("corpus.txt", "byte"), dataSubject("pairs.tsv", "pairs"), dataSubject("reviews.tsv", "reviews"),
		dataSubject("images", "favit")), nil
}

func unzip(path, dir string) error {
	r, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer r.Close()
	return os.CopyFS(dir, r)
}

// checkpointSubject is the newest checkpoint of a run, whose files are changed and sealed again.
func checkpointSubject(dir, name string) (subject, error) {
	run := filepath.Join("runs", name)
	steps, err := filepath.Glob(filepath.Join(dir, run, "checkpoints", "step-*"))
	if err != nil || len(steps) == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint", run)
	}
	step, err := filepath.Rel(dir, slices.Max(steps))
	if err != nil {
		return subject{}, err
	}
	return subject{
		kind: "checkpoint",
		commands: [][]string{
			{"model", "eval", step}, {"model", "eval", step, "--json"}, {"model", "inspect", step}, {"model", "predict", step, "a text", "and another"},
			{"model", "generate", step, "--prompt", "a", "--tokens", "4"}, {"model", "merge", step, "-o", "merged"}, {"model", "explain", step, "a text of words", "-o", "explained.html"},
			{"model", "export", step, "--format", "npz", "-o", "exported"}, {"train", "resume", run, "--set", "train.steps=5"}, {"model", "eval", run},
		},
		change: func(m mutator, work string) (string, error) { return changeCheckpoint(m, filepath.Join(work, step)) },
	}, nil
}

func changeCheckpoint(m mutator, dir string) (string, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return "", err
	}
	var files []string
	for _, f := range c.Manifest().Files {
		files = append(files, f.Name)
	}
	var said []string
	for range 1 + m.IntN(2) {
		name := pick(m, append(slices.Clone(files), "config.toml", "state.json", "manifest.json", "model.npz")) // which matter most
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has none, or lost it
		}
		var what string
		switch filepath.Ext(name) {
		case ".toml":
			text, what = m.toml(text)
		case ".json":
			text, what = m.json(text)
		case ".npz":
			if m.IntN(4) > 0 {
				if what, err = changeArrays(m, dir, name); err == nil {
					said = append(said, name+": "+what)
					continue
				}
			}
			text, what = m.bytes(text)
		default:
			text, what = m.bytes(text)
		}
		said = append(said, name+": "+what)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
		if name != "manifest.json" {
			if err := reseal(dir, nil); err != nil {
				return "", err
			}
		} else if m.IntN(2) == 0 {
			_ = reseal(dir, text) // one that cannot be read any more stays as it is
		}
	}
	return strings.Join(said, "; "), nil
}

// reseal makes sizes and checksums of a checkpoint's manifest fit its files again; text, if not nil, is the manifest.
func reseal(dir string, text []byte) (err error) {
	path := filepath.Join(dir, "manifest.json")
	if text == nil {
		if text, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	var m checkpoints.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil
	}
	for i, f := range m.Files {
		if data, err := os.ReadFile(filepath.Join(dir, filepath.Base(f.Name))); err == nil {
			m.Files[i].Size, m.Files[i].SHA256 = int64(len(data)), digest(data)
			if f.Name == "config.toml" {
				m.ConfigSHA256 = digest(data)
			}
		}
	}
	for _, sum := range []bool{false, true} {
		m.SHA256 = ""
		if sum {
			m.SHA256 = digest(text)
		}
		if text, err = json.MarshalIndent(m, "", " "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	return os.WriteFile(path, text, 0o644)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// changeArrays writes a checkpoint again with other values, names or shapes of arrays.
func changeArrays(m mutator, dir, file string) (string, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return "", err
	}
	contents := checkpoints.Contents{Kind: c.Manifest().Kind, Step: c.Manifest().Step, Parent: c.Manifest().Parent, Files: map[string][]byte{}, Arrays: map[string][]checkpoints.Array{}}
	for _, f := range c.Manifest().Files {
		if len(f.Entries) > 0 {
			contents.Arrays[f.Name], err = c.Arrays(f.Name)
		} else {
			contents.Files[f.Name], err = c.File(f.Name)
		}
		if err != nil {
			return "", err
		}
	}
	arrays := contents.Arrays[file]
	if len(arrays) == 0 {
		return "", fmt.Errorf("%s has no arrays", file)
	}
	at := m.IntN(len(arrays))
	a := &arrays[at]
	what := a.Name
	switch m.IntN(6) {
	case 0:
		contents.Arrays[file] = slices.Delete(arrays, at, at+1)
		what += " gone"
	case 1:
		a.Name += "x"
		what += " named " + a.Name
	case 2:
		a.Shape = append([]int{1}, a.Shape...)
		what += fmt.Sprintf(" of shape %v", a.Shape)
	default:
		what += changeValues(m, a.Data)
	}
	return what, checkpoints.Write(dir, contents)
}

func changeValues(m mutator, data any) string {
	switch v := data.(type) {
	case []float32:
		if len(v) == 0 {
			return " is empty"
		}
		x := pick(m, oddFloats)
		for range 1 + m.IntN(3) {
			v[m.IntN(len(v))] = x
		}
		return fmt.Sprintf(" holds %v", x)
	case []int32:
		return changeIntegers(m, v, []int32{-1, 1 << 30, -1 << 31, 255})
	case []int64:
		return changeIntegers(m, v, []int64{-1, 1 << 40, -1 << 63, 255})
	case []uint8:
		return changeIntegers(m, v, []uint8{255, 128, 0, 127})
	case []int8:
		return changeIntegers(m, v, []int8{-128, 127, 0, -1})
	}
	return fmt.Sprintf(" of type %T stays", data)
}

func changeIntegers[T int8 | uint8 | int32 | int64](m mutator, v, odd []T) string {
	if len(v) == 0 {
		return " is empty"
	}
	x := pick(m, odd)
	v[m.IntN(len(v))] = x
	return fmt.Sprintf(" holds %d", x)
}

// configSubject is a config that someone writes; only its plan is asked for, since a legal change may make a run long.
func configSubject(name string) subject {
	path := filepath.Join("configs", name)
	commands := [][]string{{"train", "run", "-c", path, "-o", "out", "--dry-run"}}
	if strings.HasPrefix(name, "compress_") {
		commands = [][]string{{"compress", "plan", "-c", path, "--set", "compress.calibration.examples=4"}} // more may take long, as it should
	}
	return subject{kind: "config", commands: commands, change: func(m mutator, work string) (string, error) {
		return changeFile(filepath.Join(work, path), 1+m.IntN(2), m.toml)
	}}
}

// dataSubject is a data file or a folder of them, and the config that reads it.
func dataSubject(name, config string) subject {
	path := filepath.Join("data", name)
	return subject{
		kind:     "data",
		commands: [][]string{{"train", "run", "-c", filepath.Join("configs", config+".toml"), "-o", "out", "--set", "train.steps=2"}},
		change: func(m mutator, work string) (string, error) {
			file, err := anyFile(m, filepath.Join(work, path))
			if err != nil {
				return "", err
			}
			return changeFile(file, 1+m.IntN(3), m.bytes)
		},
	}
}

// The cache of statistics is that of one compression.
const (
	cacheDir    = "cache"
	cacheConfig = "compress_fwsvd.toml"
)

func cacheCommand(out string) []string {
	return []string{"compress", "run", "-c", filepath.Join("configs", cacheConfig), "-o", out, "--set", "compress.cache=" + cacheDir}
}

func makeCache(ctx context.Context, bin, dir string) error {
	command := cacheCommand("first")
	c := exec.CommandContext(ctx, filepath.Join(bin, command[0]), command[1:]...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w\n%s", command, err, out)
	}
	return os.RemoveAll(filepath.Join(dir, "first"))
}

// cacheSubject is the cache of statistics, which is as good as none when it is damaged.
func cacheSubject() subject {
	return subject{kind: "cache", commands: [][]string{cacheCommand("out")}, change: func(m mutator, work string) (string, error) {
		file, err := anyFile(m, filepath.Join(work, cacheDir))
		if err != nil {
			return "", err
		}
		change := m.bytes
		if filepath.Ext(file) == ".json" {
			change = m.json
		}
		what, err := changeFile(file, 1, change)
		if err == nil && m.IntN(2) == 0 && filepath.Base(file) != "manifest.json" {
			err = reseal(filepath.Dir(file), nil)
			what += ", sealed"
		}
		return what, err
	}}
}

// changeFile changes a file some times.
func changeFile(path string, times int, change func([]byte) ([]byte, string)) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	said := make([]string, times)
	for i := range said {
		text, said[i] = change(text)
	}
	return filepath.Base(path) + ": " + strings.Join(said, ", "), os.WriteFile(path, text, 0o644)
}

// anyFile is a file at or below a path.
func anyFile(m mutator, path string) (string, error) {
	var files []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no file below %s: %w", path, err)
	}
	return pick(m, files), nil
}
