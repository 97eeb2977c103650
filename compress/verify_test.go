package compress

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/saved"
)

// TestVerifyFindsBrokenPromises: each kind of damage breaks the promise that names it.
func TestVerifyFindsBrokenPromises(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "fwsvd", 0.5)
	dir := filepath.Join(t.TempDir(), "out")
	mustRun(t, cfg, dir)
	replan := func(t *testing.T, dir, from, to string) {
		rewrite(t, filepath.Join(dir, planDir), func(c *checkpoints.Contents) {
			text := string(c.Files["plan.json"])
			if !strings.Contains(text, from) {
				t.Fatalf("the plan has no %s", from)
			}
			c.Files["plan.json"] = []byte(strings.Replace(text, from, to, 1))
		})
	}
	weights := func(t *testing.T, dir, name string) {
		rewrite(t, checkpoints.StepDir(dir, 0), func(c *checkpoints.Contents) {
			i := slices.IndexFunc(c.Arrays["model.npz"], func(a checkpoints.Array) bool { return strings.HasSuffix(a.Name, name) })
			c.Arrays["model.npz"][i].Data.([]float32)[0] += 0.5
		})
	}
	limit := regexp.MustCompile(`"limit": (\d+)`)
	for _, c := range []struct {
		promise string
		damage  func(t *testing.T, dir string)
	}{
		{"files", func(t *testing.T, dir string) { flip(t, filepath.Join(checkpoints.StepDir(dir, 0), "model.npz")) }},
		{"files", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, planDir, "layers.npz")) }},
		{"lineage", func(t *testing.T, dir string) { replan(t, dir, `"parent": "`, `"parent": "0`) }},
		{"sizes", func(t *testing.T, dir string) { replan(t, dir, `"rank": `, `"rank": 1`) }},
		{"budget", func(t *testing.T, dir string) { replan(t, dir, limit.FindString(planText(t, dir)), `"limit": 100`) }},
		{"tight", func(t *testing.T, dir string) { replan(t, dir, limit.FindString(planText(t, dir)), `"limit": 7000`) }},
		{"errors", func(t *testing.T, dir string) { weights(t, dir, ".up.weight") }},
		{"fisher", turned},
		{"others", func(t *testing.T, dir string) { weights(t, dir, "norm.weight") }},
		{"quality", func(t *testing.T, dir string) {
			path := filepath.Join(dir, resultFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = regexp.MustCompile(`"value": (\d)`).ReplaceAll(text, []byte(`"value": 9$1`))
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.promise, func(t *testing.T) {
			damaged := filepath.Join(t.TempDir(), "out")
			if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, damaged)
			v, err := Verify(context.Background(), damaged, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Err(); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), ErrBroken.Error()+": "+c.promise+": ") {
				t.Errorf("got %v, want the broken promise %s", err, c.promise)
			}
		})
	}
	t.Run("tight, in parameters", func(t *testing.T) {
		cfg := configOf(t, trainedRun(t), "svd", 0)
		cfg.Compress.Params, cfg.Compress.Allocation = 1000, "uniform"
		dir := filepath.Join(t.TempDir(), "out")
		mustRun(t, cfg, dir)
		replan(t, dir, `"limit": 1000`, `"limit": 1100`)
		v, err := Verify(context.Background(), dir, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Err(); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "tight: a step of") {
			t.Errorf("got %v, want the broken promise tight", err)
		}
	})
	if _, err := Verify(context.Background(), t.TempDir(), io.Discard); !errors.Is(err, saved.ErrNotFound) {
		t.Errorf("an empty folder: got %v, want an error that matches ErrNotFound", err)
	}
}

// turned makes the Fisher information of a plan that of matrices which were turned: where a layer is as wide as high the sums of
// inputs stand for those of outputs, and the reverse.
func turned(t *testing.T, dir string) {
	t.Helper()
	rewrite(t, filepath.Join(dir, planDir), func(c *checkpoints.Contents) {
		arrays := c.Arrays["layers.npz"]
		by := map[string]int{}
		for i, a := range arrays {
			by[a.Name] = i
		}
		swapped := 0
		for name, i := range by {
			layer, isRows := strings.CutSuffix(name, ".rows")
			if j, ok := by[layer+".cols"]; isRows && ok && slices.Equal(arrays[i].Shape, arrays[j].Shape) {
				arrays[i].Data, arrays[j].Data = arrays[j].Data, arrays[i].Data
				swapped++
			}
		}
		if swapped == 0 {
			t.Fatal("no layer is as wide as high")
		}
	})
}

// TestVerifySumsFisherAgain: the sums of a sound plan are kept, whether all that was read is read again or a part of it; sums of a turned
// matrix, of other data or of another size break the promise.
func TestVerifySumsFisherAgain(t *testing.T) {
	for name, examples := range map[string]int{"all": 12, "a part": 60} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(t, trainedRun(t), "fwsvd", 0.5)
			cfg.Compress.Calibration.Examples = examples
			dir := filepath.Join(t.TempDir(), "out")
			mustRun(t, cfg, dir)
			for damage, c := range map[string]struct {
				do   func(t *testing.T, dir string)
				want string
			}{
				"none":   {func(*testing.T, string) {}, ""},
				"turned": {turned, "by outputs|like those of outputs"},
				"larger": {func(t *testing.T, dir string) {
					rewrite(t, filepath.Join(dir, planDir), func(c *checkpoints.Contents) {
						for _, a := range c.Arrays["layers.npz"] {
							if strings.HasSuffix(a.Name, ".rows") {
								for i := range a.Data.([]float64) {
									a.Data.([]float64)[i] *= 30
								}
							}
						}
					})
				}, "by outputs"},
			} {
				damaged := filepath.Join(t.TempDir(), "out")
				if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				c.do(t, damaged)
				v, err := Verify(context.Background(), damaged, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(v.Promises, func(p Promise) bool { return p.Name == "fisher" })
				if i < 0 || v.Promises[i].Kept != (c.want == "") || !regexp.MustCompile(c.want).MatchString(v.Promises[i].Detail) {
					t.Errorf("%s: %+v; want %q", damage, v.Promises, c.want)
				}
			}
		})
	}
}

// TestVerifyFindsWrongOccupancy: a dsformer checkpoint, sealed again after each change of its indices or their layout, breaks
// the promise that names it, and none of it breaks verify.
func TestVerifyFindsWrongOccupancy(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "dsformer", 0.4)
	cfg.Compress.DSFormer.Atoms, cfg.Compress.DSFormer.Nonzeros = []int{12}, []int{2, 8} // with one, any atom is in order
	dir := filepath.Join(t.TempDir(), "out")
	mustRun(t, cfg, dir)
	indices := func(change func(a *checkpoints.Array)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, checkpoints.StepDir(dir, 0), func(c *checkpoints.Contents) {
				i := slices.IndexFunc(c.Arrays["model.npz"], func(a checkpoints.Array) bool { return strings.HasSuffix(a.Name, ".sparse.indices") })
				change(&c.Arrays["model.npz"][i])
			})
		}
	}
	plan := func(old, now string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, planDir), func(c *checkpoints.Contents) {
				re := regexp.MustCompile(old)
				if !re.Match(c.Files["plan.json"]) {
					t.Fatalf("the plan has no %s", old)
				}
				c.Files["plan.json"] = re.ReplaceAll(c.Files["plan.json"], []byte(now))
			})
		}
	}
	for _, c := range []struct {
		name, want string
		damage     func(t *testing.T, dir string)
	}{
		{"an atom twice", "occupancy: .*sparse.indices: a vector of a block has atom 0 after 0, want ascending",
			indices(func(a *checkpoints.Array) { clear(a.Data.([]uint8)) })},
		{"an atom that is none", `occupancy: .*sparse.indices: nn: index \d+ of \d+ is 15, want a number from 0 to `,
			indices(func(a *checkpoints.Array) {
				for i := range a.Data.([]uint8) {
					a.Data.([]uint8)[i] = 255
				}
			})},
		{"indices cut short", "(?s)files: .*sparse.indices",
			indices(func(a *checkpoints.Array) { a.Data = a.Data.([]uint8)[1:]; a.Shape = []int{a.Shape[0] - 1} })},
		{"more planned than stored", "sizes: .* values in .* bytes, want ", plan(`"nonzeros": \d+,`, `"nonzeros": 9,`)},
		{"no block planned", "files: .*plan.json: .* cannot become dsformer", plan(`"blocks": 2`, `"blocks": 0`)},
		{"negative atoms planned", "files: .*plan.json: .* cannot become dsformer", plan(`"atoms": \d+`, `"atoms": -3`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			damaged := filepath.Join(t.TempDir(), "out")
			if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, damaged)
			v, err := Verify(context.Background(), damaged, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Err(); !errors.Is(err, ErrBroken) || !regexp.MustCompile("broken promise: "+c.want).MatchString(err.Error()) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestVerifyCountsTheResult: what is wrong with the checkpoint that fine-tuning has made, sealed again, breaks the promise that
// names it, although the one before fine-tuning is sound; stored in few bits, too.
func TestVerifyCountsTheResult(t *testing.T) {
	for _, quantize := range []*QuantizeConfig{nil, {Bits: 8, Block: 32}} {
		cfg := configOf(t, trainedRun(t), "dsformer", 0.4)
		cfg.Compress.DSFormer.Atoms, cfg.Compress.DSFormer.Nonzeros = []int{12}, []int{2, 8}
		suffix := ""
		if cfg.Compress.Quantize = quantize; quantize != nil {
			cfg.Compress.Ratio, suffix = 0.8, ".codes"
		}
		cfg.Compress.Finetune = &FinetuneConfig{}
		cfg.Compress.Finetune.SetDefaults()
		cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.WarmupSteps = 4, 0
		dir := filepath.Join(t.TempDir(), "out")
		r := mustRun(t, cfg, dir)
		array := func(c *checkpoints.Contents, suffix string) *checkpoints.Array {
			i := slices.IndexFunc(c.Arrays["model.npz"], func(a checkpoints.Array) bool { return strings.HasSuffix(a.Name, suffix) })
			return &c.Arrays["model.npz"][i]
		}
		for _, c := range []struct {
			name, want string
			damage     func(c *checkpoints.Contents)
		}{
			{"an atom twice", "occupancy: .*step-000004: .*sparse.indices: a vector of a block has atom 0 after 0, want ascending",
				func(c *checkpoints.Contents) { clear(array(c, ".sparse.indices").Data.([]uint8)) }},
			{"a factor cut short", "(?s)files: .*step-000004.*dictionary", func(c *checkpoints.Contents) {
				a := array(c, ".dictionary.weight"+suffix)
				a.Shape = []int{a.Shape[0] - 1, a.Shape[1]}
				n := a.Shape[0] * a.Shape[1]
				switch x := a.Data.(type) {
				case []uint8:
					a.Data = x[:n]
				case []float32:
					a.Data = x[:n]
				}
			}},
			{"a layer that became dense", "sizes: .*dictionary.weight.* has shape \\[\\], want .*step-000004", func(c *checkpoints.Contents) {
				layer := strings.TrimSuffix(array(c, ".dictionary.weight"+suffix).Name, ".dictionary.weight"+suffix)
				var kept []checkpoints.Array
				for _, a := range c.Arrays["model.npz"] {
					if !strings.HasPrefix(a.Name, layer+".") {
						kept = append(kept, a)
					}
				}
				l := mustOpen(t, cfg).loaded.Session.Store().Layer(layer)
				c.Arrays["model.npz"] = append(kept, checkpoints.Array{Name: layer + ".weight", Shape: []int{l.Out, l.In}, Data: make([]float32, l.Out*l.In)})
				tables := regexp.MustCompile(`(?s)\[\[model\.linear\]\]\nmatch = "` + regexp.QuoteMeta(layer) + `".*?\n\n`)
				c.Files["config.toml"] = tables.ReplaceAll(c.Files["config.toml"], nil)
			}},
			{"another parent", "lineage: .*step-000004 names another parent", func(c *checkpoints.Contents) {
				c.Parent = &checkpoints.Lineage{Path: "x", SHA256: strings.Repeat("0", 64)}
			}},
		} {
			t.Run(c.name+suffix, func(t *testing.T) {
				damaged := filepath.Join(t.TempDir(), "out")
				if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				rewrite(t, filepath.Join(damaged, filepath.FromSlash(r.Checkpoint)), c.damage)
				v, err := Verify(context.Background(), damaged, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Err(); !errors.Is(err, ErrBroken) || !regexp.MustCompile("broken promise: "+c.want).MatchString(err.Error()) {
					t.Errorf("got %v, want %s", err, c.want)
				}
			})
		}
	}
}

func planText(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, planDir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rewrite changes the contents of a checkpoint and seals it again.
func rewrite(t *testing.T, dir string, change func(*checkpoints.Contents)) {
	t.Helper()
	c, err := checkpoints.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := c.Manifest()
	contents := checkpoints.Contents{Kind: m.Kind, Step: m.Step, Parent: m.Parent, Files: map[string][]byte{}, Arrays: map[string][]checkpoints.Array{}}
	for _, f := range m.Files {
		if strings.HasSuffix(f.Name, ".npz") {
			contents.Arrays[f.Name], err = c.Arrays(f.Name)
		} else {
			contents.Files[f.Name], err = c.File(f.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(&contents)
	if err := checkpoints.Write(dir, contents); err != nil {
		t.Fatal(err)
	}
}

// flip changes a bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 4
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyOldConfig: the config of a compression by an earlier version, which spelled out the keys of every source, is that of the
// same compression: it is verified, and run again it goes on there.
func TestVerifyOldConfig(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "svd", 0.5)
	cfg.Compress.Allocation = "uniform"
	cfg.Compress.Data = &DataConfig{filesOf(textFile(t, t.TempDir()))}
	dir := filepath.Join(t.TempDir(), "out")
	mustRun(t, cfg, dir)
	path := filepath.Join(dir, configFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys string
		ok   bool
	}{{"root = \"\"\nheader = true\nmean = []\n", true}, {"root = \"there\"\n", false}} {
		old := strings.Replace(string(text), "[compress.data]\n", "[compress.data]\n"+c.keys, 1)
		if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(context.Background(), dir, io.Discard); (err == nil) != c.ok {
			t.Errorf("%q: verify: %v", c.keys, err)
		}
		if _, err := Run(context.Background(), cfg, dir, io.Discard); (err == nil) != c.ok {
			t.Errorf("%q: run: %v", c.keys, err)
		}
	}
}
