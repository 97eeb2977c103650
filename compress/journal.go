package compress

import (
	"encoding/json"
	"fmt"
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
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("compress: %w", err)
		}
	}
	contents, err := make()
	if err != nil {
		return err
	}
	return checkpoints.Write(dir, contents)
}

// layerKey is the hash of what a layer's result depends on: the checkpoint, the statistics, the settings of methods (but
// for the budget, which decides only about the option, and of which the options know the unit) and what is asked for.
func (s *subject) layerKey(what string, t Target, asked any) string {
	cfg := s.cfg.Compress
	return hashOf(map[string]any{
		"version": 1, "what": what, "layer": t.Name, "asked": asked, "checkpoint": s.loaded.Files.Manifest().SHA256, "statistics": s.keys,
		"row": cfg.Row, "floor": cfg.Floor, "alpha": cfg.Alpha, "sweeps": cfg.Sweeps, "group": cfg.Group, "dsformer": cfg.DSFormer, "quantize": cfg.Quantize,
		"unit": cfg.budget(nil).Unit, "instruction_set": kernel.ISA(),
	})
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
