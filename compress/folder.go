package compress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/saved"
)

// Files of a compression's folder, beside checkpoints/ and journal/.
const (
	configFile = "compress.toml" // resolved
	planDir    = "plan"          // the plan, spectra and the statistics that predictions are made from
	resultFile = "result.json"
	verifyFile = "verify.json"
	tunedDir   = "finetune" // the run that trained the result
)

// Record is what a finished compression's folder tells of it.
type Record struct {
	Dir    string
	Config string // compress.toml
	Plan   Plan
	Known  map[string]checkpoints.Array // of the plan's folder, by name: ".values" of spectra, ".bytes" and ".losses" of options
	Result Result
	Found  *Verification // by the last verify; nil: there was none
}

// Read reads the folder of a finished compression. Another folder is an error that matches train.ErrNotFound.
func Read(dir string) (*Record, error) {
	r := &Record{Dir: dir}
	if err := r.finished(); err != nil {
		return nil, err
	}
	config, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	r.Config = string(config)
	if err := r.read(); err != nil {
		return nil, err
	}
	if text, err := os.ReadFile(filepath.Join(dir, verifyFile)); err == nil {
		if err := json.Unmarshal(text, &r.Found); err != nil {
			return nil, fmt.Errorf("compress: %s: %w; make it again by: %s", filepath.Join(dir, verifyFile), err, shell.Command("compress", "verify", dir))
		}
	}
	return r, nil
}

// mostWork bounds what [Record.Spectra] computes, in multiply-adds of about ten seconds.
const mostWork = 1e10

// Spectra are the singular values of the compressed layers in the source, by layer, of those whose method kept none. There are none
// where the source is gone or is another by now, and of layers that would take too long.
func (r *Record) Spectra(ctx context.Context) (map[string][]float64, error) {
	out := map[string][]float64{}
	dir, err := saved.Find(r.Plan.From, false)
	if err != nil {
		return out, nil
	}
	c, err := checkpoints.Open(dir)
	if err != nil || c.Manifest().SHA256 != r.Plan.Parent {
		return out, nil
	}
	arrays, err := c.Arrays("model.npz")
	if err != nil {
		return out, nil
	}
	dense := saved.ByName(arrays)
	work := 0.0
	for _, l := range r.Plan.Layers {
		w, is := dense[l.Name+".weight"].Data.([]float32)
		if values, _ := r.Known[l.Name+".values"].Data.([]float64); len(values) > 0 || !is {
			continue
		}
		if work += 5 * float64(l.Out) * float64(l.In) * float64(min(l.Out, l.In)); work > mostWork {
			break
		}
		m, err := factor.FromFloat32(l.Out, l.In, w)
		if err != nil {
			continue // a layer of another shape: it was cut
		}
		d, err := factor.ThinSVD(ctx, m, nil)
		if err != nil {
			return nil, fmt.Errorf("compress: %s: %w", l.Name, err)
		}
		out[l.Name] = d.S
	}
	return out, nil
}

// finished refuses a folder that lacks a file of every finished compression.
func (r *Record) finished() error {
	for _, name := range []string{configFile, resultFile} {
		if _, err := os.Stat(filepath.Join(r.Dir, name)); err != nil {
			return fmt.Errorf("%w: %s holds no finished compression: it has no %s; make one, or finish it, by: %s", saved.ErrNotFound, r.Dir, name,
				shell.Command("compress", "run", "-c", "FILE", "-o", r.Dir))
		}
	}
	var of Result
	text, err := os.ReadFile(filepath.Join(r.Dir, resultFile))
	if err == nil && json.Unmarshal(text, &of) == nil && of.Measure == "" && of.Checkpoint != "" && len(of.Layers) == 0 {
		return refusef("%s holds a network of other widths, of which nothing was planned or promised; measure it by: %s", r.Dir, shell.Command("model", "eval", r.Dir))
	}
	return nil
}

// read reads the result and the plan.
func (r *Record) read() error {
	text, err := os.ReadFile(filepath.Join(r.Dir, resultFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &r.Result); err != nil {
		return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, resultFile, err)
	}
	plan, err := checkpoints.Open(filepath.Join(r.Dir, planDir))
	if err != nil {
		return err
	}
	if text, err = plan.File("plan.json"); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &r.Plan); err != nil {
		return fmt.Errorf("%w: plan.json: %w", checkpoints.ErrCheckpoint, err)
	}
	arrays, err := plan.Arrays("layers.npz")
	if err != nil {
		return err
	}
	r.Known = map[string]checkpoints.Array{}
	for _, a := range arrays {
		r.Known[a.Name] = a
	}
	return nil
}

// begin makes the folder with its config, or checks that it holds a compression by the same one, and holds it until unlock.
func (s *compression) begin(dir string) (unlock func(), err error) {
	text, err := configs.Encode(s.cfg)
	if err != nil {
		return nil, err
	}
	if _, err := s.vacant(dir, text); err != nil { // before anything is written there
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, refusef("%w", err)
	}
	if unlock, err = checkpoints.Lock(dir); err != nil {
		return nil, refusef("%s is %w: wait until that has ended, or choose another folder with -o", dir, err)
	}
	fresh, err := s.vacant(dir, text)
	switch {
	case err == nil && fresh:
		err = checkpoints.WriteFileAtomic(filepath.Join(dir, configFile), text)
	case err == nil:
		fmt.Fprintf(s.out, "continuing %s\n", dir)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// written tells whether what a folder has is how an earlier version wrote that config.
func (s *compression) written(have, config []byte) bool {
	known := Options{Options: s.cfg.Compress.Known, Methods: s.cfg.Compress.Methods[len(Methods()):]}
	cfg, err := stored(configFile, have, []Options{known})
	if err != nil {
		return false
	}
	text, err := configs.Encode(cfg)
	return err == nil && bytes.Equal(text, config)
}

// vacant tells whether nothing was begun in a folder, and refuses one with anything but a compression by that config.
func (s *compression) vacant(dir string, config []byte) (bool, error) {
	have, err := os.ReadFile(filepath.Join(dir, configFile))
	switch {
	case err == nil && (bytes.Equal(have, config) || s.written(have, config)):
		return false, nil
	case err == nil:
		return false, refusef("%s holds a compression by another config: choose another folder with -o", dir)
	}
	empty, err := checkpoints.Empty(dir, configFile)
	switch {
	case err != nil:
		return false, refusef("-o %s: %w", dir, err)
	case !empty:
		return false, refusef("%s is not empty and not a compression: choose another folder with -o", dir)
	}
	return true, nil
}
