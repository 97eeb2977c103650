package compress

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/kernel"
)

// journal keeps what has been computed of each layer, in a folder of its own under the hash of all that it depends on, so
// that a run which was killed continues where it was. The zero value keeps nothing.
type journal struct{ dir string }

// do reads what is kept under a key, or makes it and keeps it. An entry is there completely or not at all; a damaged one
// is made again.
func (j journal) do(key string, read func(*checkpoints.Checkpoint) error, make func() (checkpoints.Contents, error)) error {
	if j.dir == "" {
		_, err := make()
		return err
	}
	dir := filepath.Join(j.dir, key[:24])
	if c, err := checkpoints.Open(dir); err == nil {
		if err := read(c); err == nil {
			return nil
		}
	}
	if err := os.RemoveAll(dir); err != nil { // also what has lost its manifest, which no checkpoint may replace
		return fmt.Errorf("compress: %w", err)
	}
	contents, err := make()
	if err != nil {
		return err
	}
	return checkpoints.Write(dir, contents)
}

// journalVersion is that of keys and entries; a journal of another one is of no use.
const journalVersion = "2"

// renew empties a journal that another version has written, and says so.
func (j journal) renew(out io.Writer) error {
	mark := filepath.Join(j.dir, "version")
	if text, err := os.ReadFile(mark); err == nil && string(text) == journalVersion+"\n" {
		return nil
	}
	if _, err := os.Stat(j.dir); err == nil {
		fmt.Fprintf(out, "%s was written by another version: its layers are computed anew\n", j.dir)
		if err := os.RemoveAll(j.dir); err != nil {
			return fmt.Errorf("compress: %w", err)
		}
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	return checkpoints.WriteFileAtomic(mark, []byte(journalVersion+"\n"))
}

// layerKey is the hash of what a layer's result depends on: the checkpoint, the statistics, the whole config of each method
// that its target's name stands for, the storage, the budget's unit and what is asked for.
func (s *compression) layerKey(what string, t Target, asked any) (string, error) {
	cfg := s.cfg.Compress
	methods := map[string]json.RawMessage{}
	for _, m := range cfg.methods(t.Method) {
		text, err := json.Marshal(m.Method)
		if err != nil {
			return "", fmt.Errorf("compress: the config of method %s: %w", m.Name, err)
		}
		methods[m.Name] = text
	}
	return hashOf(map[string]any{
		"version": journalVersion, "what": what, "layer": t.Name, "asked": asked, "checkpoint": s.loaded.Files.Manifest().SHA256,
		"statistics": s.keys, "methods": methods, "storage": cfg.Quantize.asked(), "unit": cfg.budget(nil).Unit, "instruction_set": kernel.ISA(),
	}), nil
}

// contents is how a spectrum is kept.
func (x spectrum) contents() checkpoints.Contents {
	return checkpoints.Contents{Kind: "options", Files: map[string][]byte{"options.json": indented(x)}}
}

func (x *spectrum) read(c *checkpoints.Checkpoint) error {
	text, err := c.File("options.json")
	if err != nil {
		return err
	}
	return json.Unmarshal(text, x)
}

// indented is a value as JSON for people too.
func indented(v any) []byte {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err) // impossible: plain, finite values
	}
	return append(text, '\n')
}
