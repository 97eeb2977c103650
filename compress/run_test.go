package compress

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

func mustRun(t *testing.T, cfg Config, dir string) *Result {
	t.Helper()
	r, err := Run(context.Background(), cfg, dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustVerify fails the test unless the compression in dir keeps all its promises.
func mustVerify(t *testing.T, dir string) *Verification {
	t.Helper()
	v, err := Verify(context.Background(), dir, io.Discard)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRun: each method compresses decoders and encoders within the budget, keeps all promises, and leaves a checkpoint
// that is loaded in factored form.
func TestRun(t *testing.T) {
	networks := []struct {
		name string
		run  func(*testing.T) string
	}{{"decoder", trainedRun}, {"encoder", trainedEncoder}, {"favit", trainedFaViT}}
	for i, method := range DefaultConfig().Compress.names() {
		of := DefaultConfig().Compress
		if of.Method = method; slices.ContainsFunc(of.methods(method), func(m named) bool { _, narrows := m.Method.(narrower); return narrows }) {
			continue // without a plan there is no budget and no promise: see TestInterpolative
		}
		for k, network := range networks {
			name := network.name
			t.Run(method+" "+name, func(t *testing.T) {
				if testing.Short() && i%len(networks) != k {
					t.Skip("-short takes the networks in turn")
				}
				cfg := configOf(t, network.run(t), method, 0.4)
				if name == "favit" && (method == "magnitude" || method == "dsformer") { // others have sides that nothing divides
					cfg.Compress.Layer = []LayerConfig{{Match: "*.mlp.*"}}
				}
				dir := filepath.Join(t.TempDir(), "out")
				r := mustRun(t, cfg, dir)
				if r.Compressed.Loss() > r.Before.Loss()+1 {
					t.Errorf("loss %g, before %g", r.Compressed.Loss(), r.Before.Loss())
				}
				v, err := Verify(context.Background(), dir, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Err(); err != nil {
					t.Error(err)
				}
				promises := 10
				if r.Measure == "fisher" {
					promises++ // the sums of squared gradients
				}
				if len(v.Promises) != promises || v.After.PerSecond <= 0 || v.After.Latency <= 0 {
					t.Errorf("%d promises, %+v", len(v.Promises), v.After)
				}
				l, err := saved.Open(dir, false, model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				names := strings.Join(l.Session.Store().Names(), " ")
				low, sparse := strings.Count(names, ".down.weight"), strings.Count(names, ".sparse.values")
				if (low > 0) == (method == "magnitude" || method == "dsformer" || method == "quantize") || (sparse > 0) != (method == "dsformer" || method == "auto" || method == "magnitude") {
					t.Errorf("%d layers are of low rank, %d dense-sparse", low, sparse)
				}
				if method == "quantize" && v.After.Disk >= v.Before.Disk {
					t.Errorf("%d bytes on disk, before %d", v.After.Disk, v.Before.Disk)
				}
				if method != "quantize" && v.After.Weights >= v.Before.Weights {
					t.Errorf("%d bytes of weights, before %d", v.After.Weights, v.Before.Weights)
				}
			})
		}
	}
}

// TestOneProcess: a folder in which somebody works is refused, and stays as it is.
func TestOneProcess(t *testing.T) {
	cfg, dir := configOf(t, trainedRun(t), "svd", 0.4), t.TempDir()
	unlock, err := checkpoints.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), cfg, dir, io.Discard); !errors.Is(err, task.ErrUsage) || !errors.Is(err, checkpoints.ErrLocked) {
		t.Errorf("Run: %v, want %v", err, checkpoints.ErrLocked)
	}
	if _, err := os.Stat(filepath.Join(dir, configFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", configFile, err)
	}
	unlock()
	mustRun(t, cfg, dir)
}

// TestFullRankIsTheModel: factors of full rank, where a budget does not allow them, give the model's loss.
func TestFullRankIsTheModel(t *testing.T) {
	for _, method := range []string{"svd", "fwsvd", "svd_llm", "asvd"} {
		cfg := configOf(t, trainedRun(t), method, 0.4)
		s := mustOpen(t, cfg)
		if err := s.calibrate(context.Background()); err != nil {
			t.Fatal(err)
		}
		p := &Plan{}
		for _, x := range s.targets {
			p.Layers = append(p.Layers, LayerPlan{Name: x.Name, Out: x.Out, In: x.In, Option: Option{Method: method, Rank: min(x.Out, x.In)}})
		}
		dir := checkpoints.StepDir(t.TempDir(), 0)
		if err := s.factorize(context.Background(), p, journal{}, dir, &Result{}); err != nil {
			t.Fatal(err)
		}
		before, err := s.measure(context.Background(), s.loaded, 1)
		if err != nil {
			t.Fatal(err)
		}
		after, err := s.measureAt(context.Background(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(after.Loss() - before.Loss()); d > 1e-4 { // float32 products of float32 factors
			t.Errorf("%s: full rank changes the loss by %g", method, d)
		}
	}
}

// TestFinetune: the compressed checkpoint is trained, what is used is the best checkpoint of that run, and its lineage
// leads through the compressed checkpoint to the source. The support of dsformer stays, atoms and
// values are trained.
func TestFinetune(t *testing.T) {
	for _, method := range []string{"svd", "dsformer"} {
		cfg := configOf(t, trainedRun(t), method, 0.55)
		cfg.Compress.Finetune = &FinetuneConfig{}
		cfg.Compress.Finetune.SetDefaults()
		cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.LearningRate = 30, 3e-3
		dir := filepath.Join(t.TempDir(), "out")
		r := mustRun(t, cfg, dir)
		if r.Tuned.Loss() >= r.Compressed.Loss() {
			t.Errorf("%s: loss %g after fine-tuning, %g before", method, r.Tuned.Loss(), r.Compressed.Loss())
		}
		mustVerify(t, dir)
		l, err := saved.Open(dir, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, filepath.FromSlash(r.Checkpoint)); l.Dir != want {
			t.Errorf("%s: the folder stands for %s, want %s", method, l.Dir, want)
		}
		parent, err := checkpoints.Open(filepath.FromSlash(l.Files.Manifest().Parent.Path))
		if err != nil || parent.Manifest().Parent.SHA256 != v0(t, cfg) {
			t.Errorf("%s: the parent's parent is not the source (%v)", method, err)
		}
		oneoff, err := saved.Open(checkpoints.StepDir(dir, 0), false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before, after := oneoff.Session.Store(), l.Session.Store()
		if method == "dsformer" != (len(after.AtomNames()) > 0) {
			t.Errorf("%s: %d layers have indices", method, len(after.AtomNames()))
		}
		for _, name := range after.AtomNames() {
			layer := strings.TrimSuffix(name, ".sparse.indices")
			if !slices.Equal(before.Atoms(name).Index, after.Atoms(name).Index) {
				t.Errorf("%s has changed", name)
			}
			for _, trained := range []string{layer + ".sparse.values", layer + ".dictionary.weight"} {
				if slices.Equal(before.Get(trained).Float32s(), after.Get(trained).Float32s()) {
					t.Errorf("%s has not changed", trained)
				}
			}
		}
	}
}

func v0(t *testing.T, cfg Config) string {
	t.Helper()
	return mustOpen(t, cfg).loaded.Files.Manifest().SHA256
}

// tree maps the files of a folder to their bytes.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// stopper cancels a context after so many messages.
type stopper struct {
	left   int
	cancel context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	if s.left--; s.left == 0 {
		s.cancel()
	}
	return len(p), nil
}

// TestContinuedRunsEndEqual: stopped after any of its messages and continued, a run ends with the bytes of one that was
// not; and once more changes nothing.
func TestContinuedRunsEndEqual(t *testing.T) {
	for _, method := range []string{"fwsvd", "dsformer"} {
		t.Run(method, func(t *testing.T) { continuedRunsEndEqual(t, method) })
	}
}

func continuedRunsEndEqual(t *testing.T, method string) {
	cfg := configOf(t, trainedRun(t), method, 0.5)
	want := filepath.Join(t.TempDir(), "whole")
	mustRun(t, cfg, want)
	for after := 1; after < 12; after += 3 {
		cfg.Compress.Cache = filepath.Join(t.TempDir(), "cache")
		whole := cfg
		dir := filepath.Join(t.TempDir(), "out")
		ctx, cancel := context.WithCancel(context.Background())
		if _, err := Run(ctx, cfg, dir, &stopper{after, cancel}); err == nil {
			t.Logf("not stopped after %d messages", after)
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		mustRun(t, whole, dir)
		got, base := tree(t, dir), tree(t, want)
		delete(got, configFile) // names the cache
		delete(base, configFile)
		for name := range base {
			if got[name] != base[name] {
				t.Errorf("stopped after %d messages: %s differs", after, name)
			}
		}
		if len(got) != len(base) {
			t.Errorf("stopped after %d messages: %d files, want %d", after, len(got), len(base))
		}
	}
	before := tree(t, want)
	cfg.Compress.Cache = configIn(t, want).Compress.Cache
	mustRun(t, cfg, want)
	if after := tree(t, want); len(after) != len(before) || after[resultFile] != before[resultFile] {
		t.Error("the same run once more has changed the folder")
	}
	cfg.Compress.Ratio = 0.6
	if _, err := Run(context.Background(), cfg, want, io.Discard); !errors.Is(err, task.ErrUsage) {
		t.Errorf("another config in the same folder: got %v, want an error that matches ErrUsage", err)
	}
}

func configIn(t *testing.T, dir string) Config {
	t.Helper()
	cfg, err := Load(filepath.Join(dir, configFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestRefusals: what cannot be compressed is one clear error, and nothing is made of it.
func TestRefusals(t *testing.T) {
	base := trainedRun(t)
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.CopyFS(broken, os.DirFS(checkpoints.StepDir(base, 80))); err != nil {
		t.Fatal(err)
	}
	rewrite(t, broken, func(c *checkpoints.Contents) {
		i := slices.IndexFunc(c.Arrays["model.npz"], func(a checkpoints.Array) bool { return strings.HasSuffix(a.Name, "up_proj.weight") })
		c.Arrays["model.npz"][i].Data.([]float32)[17] = float32(math.NaN())
	})
	small := filepath.Join(t.TempDir(), "small")
	mustRun(t, configOf(t, base, "svd", 0.5), small)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
		usage  bool
	}{
		{"no layer", func(c *Config) { c.Compress.Layer = []LayerConfig{{Match: "*"}, {Match: "*.attn.*"}} }, `match = "*.attn.*": no linear layer of`, true},
		{"hidden layer", func(c *Config) { c.Compress.Layer = []LayerConfig{{Match: "*.mlp.*"}, {Match: "*"}} }, `match = "*.mlp.*": no linear layer`, true},
		{"all dense", func(c *Config) { c.Compress.Layer = []LayerConfig{{Match: "*", Method: "dense"}} }, "nothing to compress", true},
		{"budget", func(c *Config) { c.Compress.Ratio, c.Compress.Bytes = 0, 100 }, "a budget of 100 bytes is too small", true},
		{"no checkpoint", func(c *Config) { c.Compress.From = "nowhere" }, "nowhere is neither a run nor a checkpoint", false},
		{"not finite", func(c *Config) { c.Compress.From = broken }, "up_proj.weight[1, 1] is NaN", false},
		{"compressed before", func(c *Config) { c.Compress.From = small }, "is of kind low_rank; want dense ones", true},
		{"no data", func(c *Config) {
			c.Compress.Data = &DataConfig{filesOf("missing.txt")}
		}, `"missing.txt" does not exist`, true},
		{"data of another kind, images", func(c *Config) {
			from := images.DefaultFolder()
			from.Root = t.TempDir()
			c.Compress.Data = &DataConfig{recipe.From(from)}
		}, "has labelled images: the model was trained on", true},
		{"data of another kind", func(c *Config) {
			from := labelled.DefaultTable()
			from.Train, from.TextColumns, from.LabelColumn = "x.tsv", []string{"a"}, "b"
			c.Compress.Data = &DataConfig{recipe.From(from)}
		}, "has labelled texts: the model was trained on \"text\"; want text without labels", true},
	} {
		cfg := configOf(t, base, "fwsvd", 0.5)
		c.change(&cfg)
		dir := filepath.Join(t.TempDir(), "out")
		_, err := Run(context.Background(), cfg, dir, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, task.ErrUsage) != c.usage {
			t.Errorf("%s: got %v, want %s (usage %t)", c.name, err, c.want, c.usage)
		}
		if c.usage && err != nil && !strings.HasPrefix(err.Error(), "compress: cannot start: ") {
			t.Errorf("%s: got %v, want a message that names compress", c.name, err)
		}
		if _, err := os.Stat(checkpoints.StepDir(dir, 0)); err == nil {
			t.Errorf("%s: a checkpoint was made", c.name)
		}
	}
}
