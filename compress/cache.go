package compress

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/task"
)

// cached fills dst with the statistics of some layers, from the cache if they were computed before from the same
// checkpoint, data and settings.
func (s *compression) cached(ctx context.Context, kind string, layers []Target, batch int, compute func(*collector) (map[string]*Statistics, error), dst map[string]*Statistics) error {
	if err := s.data.Read(ctx); err != nil {
		return task.Refusef("compress: cannot start: calibration: %w", err)
	}
	key, err := s.key(kind, batch, layers)
	if err != nil {
		return err
	}
	if kind != "entries" { // a part of what "fisher" depends on
		s.keys[kind] = key
	}
	dir := filepath.Join(s.cfg.Compress.Cache, kind+"-"+key[:16])
	_, absent := os.Lstat(dir) // asked first: an entry that another compression puts there meanwhile is sound
	stored, err := checkpoints.Open(dir)
	if err == nil {
		err = load(stored, layers, kind, dst)
	}
	if err == nil {
		fmt.Fprintf(s.out, "%s: taken from %s\n", kind, dir)
		return nil
	}
	if absent == nil { // damaged, if only by its manifest: what it was can be computed again
		fmt.Fprintf(s.out, "%s: computed again: %v\n", kind, err)
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("compress: [compress] cache: %w", err)
		}
	}
	got, err := compute(&collector{ctx, s, kind, batch})
	if err != nil {
		return err
	}
	var arrays []checkpoints.Array
	same := map[string]string{} // layers whose statistics are another's
	for i, t := range layers {
		for _, o := range layers[:i] {
			if got[o.Name] == got[t.Name] && same[o.Name] == "" {
				same[t.Name] = o.Name
			}
		}
		if same[t.Name] == "" {
			arrays = append(arrays, statisticsArrays(t, got[t.Name])...)
		}
		dst[t.Name].take(got[t.Name])
	}
	contents := checkpoints.Contents{
		Kind: "statistics", Arrays: map[string][]checkpoints.Array{"statistics.npz": arrays}, Files: map[string][]byte{sameFile: indented(same)},
	}
	err = share(dir, contents)
	if stored, other := checkpoints.Open(dir); err != nil && other == nil && load(stored, layers, kind, dst) == nil {
		return nil // another compression was faster
	}
	return err
}

// forgotten is the age of a half-written entry of the cache that nobody writes any more.
const forgotten = time.Hour

// share puts contents at dir, which other processes may be about to do, too: they are written beside it in a folder that is
// nobody else's and moved there in one step. An entry that is there by then stays, and is an error.
func share(dir string, contents checkpoints.Contents) error {
	cache, name := filepath.Split(dir)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("compress: [compress] cache: %w", err)
	}
	left, _ := filepath.Glob(filepath.Join(cache, ".tmp-*"))
	for _, old := range left {
		if info, err := os.Stat(old); err == nil && time.Since(info.ModTime()) > forgotten {
			_ = os.RemoveAll(old)
		}
	}
	own, err := os.MkdirTemp(cache, ".tmp-"+name+"-")
	if err != nil {
		return fmt.Errorf("compress: [compress] cache: %w", err)
	}
	defer os.RemoveAll(own)
	entry := filepath.Join(own, name)
	if err := checkpoints.Write(entry, contents); err != nil {
		return err
	}
	if err := os.Rename(entry, dir); err != nil {
		return fmt.Errorf("compress: [compress] cache: %w", err)
	}
	return nil
}

// key is the hash of all that a kind of statistics depends on.
func (s *compression) key(kind string, batch int, layers []Target) (string, error) {
	var names []string
	for _, t := range layers {
		names = append(names, t.Name)
	}
	data, err := configs.Encode(s.table)
	if err != nil {
		return "", err
	}
	version := 1
	if kind == "moments" {
		version = 2 // triangles; they were whole matrices before
	}
	return hashOf(map[string]any{
		"version": version, "kind": kind, "checkpoint": s.loaded.Files.Manifest().SHA256, "corpus": s.data.Facts().Hash, "data": string(data), "layers": names,
		"seed": s.cfg.Seed, "examples": s.cfg.Compress.Calibration.Examples, "batch": batch, "instruction_set": kernel.ISA(),
	}), nil
}

// hashOf is the SHA-256 of a value's JSON, whose keys are in order.
func hashOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // impossible: plain values
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// statisticsArrays are the parts that a layer's statistics have.
func statisticsArrays(t Target, s *Statistics) []checkpoints.Array {
	var out []checkpoints.Array
	for _, p := range s.parts(t) {
		if *p.data != nil {
			out = append(out, checkpoints.Array{Name: t.Name + p.name, Shape: p.shape, Data: *p.data})
		}
	}
	return out
}

// part is one array of a layer's statistics.
type part struct {
	name  string
	shape []int
	data  *[]float64
}

func (s *Statistics) parts(t Target) []part {
	return []part{
		{".rows", []int{t.Out}, &s.Rows}, {".cols", []int{t.In}, &s.Cols}, {".entries", []int{t.Out, t.In}, &s.Entries},
		{".moment", []int{t.In * (t.In + 1) / 2}, (*[]float64)(&s.Moment)}, {".size", []int{t.In}, &s.Size},
	}
}

// take adds what another has.
func (s *Statistics) take(o *Statistics) {
	if o.Rows != nil {
		s.Rows, s.Cols = o.Rows, o.Cols
	}
	if o.Entries != nil {
		s.Entries = o.Entries
	}
	if o.Size != nil {
		s.Moment, s.Size = o.Moment, o.Size
	}
}

// sameFile of an entry says which layers have the statistics of another; earlier versions wrote none.
const sameFile = "same.json"

// load reads the statistics of a kind.
func load(c *checkpoints.Checkpoint, layers []Target, kind string, dst map[string]*Statistics) error {
	want := map[string]checkpoints.Array{}
	got := map[string]*Statistics{}
	same := map[string]string{}
	if text, err := c.File(sameFile); err == nil {
		if err := json.Unmarshal(text, &same); err != nil {
			return err
		}
	}
	for _, t := range layers {
		if o := got[same[t.Name]]; o != nil {
			got[t.Name] = o
			continue
		}
		x := &Statistics{}
		switch kind {
		case "fisher":
			x.Rows, x.Cols = make([]float64, t.Out), make([]float64, t.In)
		case "entries":
			x.Entries = make([]float64, t.Out*t.In)
		case "moments":
			x.Moment, x.Size = newTriangle(t.In), make([]float64, t.In)
		}
		for _, a := range statisticsArrays(t, x) {
			want[a.Name] = a
		}
		got[t.Name] = x
	}
	if err := c.ReadInto("statistics.npz", want); err != nil {
		return err
	}
	for _, t := range layers {
		dst[t.Name].take(got[t.Name])
	}
	return nil
}
