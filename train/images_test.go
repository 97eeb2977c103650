package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	imagedata "sparrow/data/images"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// stripes writes PNG files of size x size pixels, n a class: six classes, each a bar at another place and of another colour.
func stripes(t *testing.T, size, n int) string {
	t.Helper()
	root := t.TempDir()
	for class := range 6 {
		dir := filepath.Join(root, fmt.Sprint("class", class))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			x := image.NewRGBA(image.Rect(0, 0, size, size))
			for p := range size * size {
				v := uint8(10*i + p%7)
				c := color.RGBA{v, v, v, 255}
				if p/size*6/size == class {
					c = color.RGBA{uint8(255 - 40*class), uint8(40 * class), v, 255}
				}
				x.SetRGBA(p%size, p/size, c)
			}
			var b bytes.Buffer
			if err := png.Encode(&b, x); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// imageConfig is a run on small images that takes a fraction of a second.
func imageConfig(t *testing.T) recipe.Config {
	t.Helper()
	c := recipe.Default()
	from := imagedata.DefaultFolder()
	from.Root, from.ValidationShare = stripes(t, 12, 5), 0.2
	c.Data = recipe.From(from)
	body := favit.DefaultBody()
	body.Variant, body.Window = "tiny", 3
	body.Widths, body.Depths, body.Heads = []int{16, 16, 16}, []int{1, 1, 1}, []int{1, 1, 1}
	body.MLPRatios, body.Reductions = []int{2, 2, 2}, []int{2, 1, 1}
	c.Model = recipe.ModelOf(body)
	c.Train.Steps, c.Train.BatchSize, c.Train.LearningRate = 6, 7, 1e-2
	c.Eval.Every, c.Eval.Tokens, c.Eval.Metric = 2, 0, "accuracy"
	c.Checkpoint.Every = 2
	return c
}

// TestImagesResume: stopped after any step, a run with every augmentation, drop path and averaged weights resumes to the bytes
// of one that was not.
func TestImagesResume(t *testing.T) {
	cfg := imageConfig(t)
	configs.Edit(&cfg.Data.OneOf, func(s *imagedata.Folder) {
		s.Augment = &imagedata.AugmentConfig{Flip: true, CropPadding: 1, Jitter: 0.3, Erase: 0.5, Mixup: 0.8, CutMix: 1, LabelSmoothing: 0.1}
	})
	configs.Edit(&cfg.Model.OneOf, func(b *favit.Body) { b.DropPath = 0.2 })
	cfg.Train.EMA, cfg.Train.GradAccum = 0.9, 2
	whole := filepath.Join(t.TempDir(), "whole")
	want, err := mustTrain(t, cfg, whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := func(dir string) []byte {
		text, err := os.ReadFile(filepath.Join(checkpoints.StepDir(dir, 6), "optimizer.npz"))
		if err != nil {
			t.Fatal(err)
		}
		return append(text, modelBytes(t, dir, 6)...)
	}
	for _, stop := range []int{1, 3, 5} {
		dir := filepath.Join(t.TempDir(), "out")
		trainUntil(t, cfg, dir, stop)
		if _, _, err := Resume(context.Background(), dir, "", []string{"train.ema=0"}, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "on or off as it was") {
			t.Errorf("resumed without averages: %v, want ErrUsage", err)
		}
		trainer, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		got, err := trainer.Run(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Score, want.Score) || !bytes.Equal(files(dir), files(whole)) {
			t.Errorf("stopped after step %d: other bytes than the run that was not, or score %+v, want %+v", stop, got.Score, want.Score)
		}
	}
}

// TestImagesLearn: the classes are learned, and the checkpoint alone gives the accuracy that training measured, labels files
// as it does images in memory, and is spoilt alike each time.
func TestImagesLearn(t *testing.T) {
	cfg := imageConfig(t)
	cfg.Train.Steps, cfg.Eval.Every = 40, 40
	dir := filepath.Join(t.TempDir(), "out")
	r, err := mustTrain(t, cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, _ := r.Score.Value("accuracy")
	if top5, ok := r.Score.Value("top5"); accuracy < 0.99 || !ok || top5 < accuracy || r.Score.Count != 6 || r.Command != "predict" {
		t.Fatalf("%+v, want an accuracy of 1 on 6 images", r.Score)
	}
	l, err := saved.Open(dir, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{})
	if err != nil || !reflect.DeepEqual(score, r.Score) {
		t.Errorf("evaluated: %+v, %v; want %+v as in training", score, err, r.Score)
	}
	for _, part := range []task.Measure{{Split: task.Test}, {File: "x.tsv"}} {
		if _, err := l.Task.Evaluate(ctx, l.Session, part); !errors.Is(err, task.ErrUsage) {
			t.Errorf("Evaluate(%+v): %v, want ErrUsage", part, err)
		}
	}
	var paths []string
	for i := range 20 {
		paths = append(paths, filepath.Join(cfg.Data.Of.(imagedata.Folder).Root, fmt.Sprint("class", i%6), fmt.Sprintf("%d.png", i/6)))
	}
	found, err := predictImages(t, l, paths...)
	if err != nil || len(found) != len(paths) {
		t.Fatal(found, err)
	}
	for i, p := range found {
		var sum float64
		for _, q := range p {
			sum += q.X
		}
		if p[0].Name != fmt.Sprint("class", i%6) || math.Abs(sum-1) > 1e-9 || p[0].X < p[1].X {
			t.Errorf("%s: %+v", paths[i], p)
		}
	}
	if alone, err := predictImages(t, l, paths[0]); err != nil || math.Abs(alone[0][0].X-found[0][0].X) > 1e-5 {
		t.Errorf("alone %+v, %v; among others %+v", alone, err, found[0])
	}
	first, err := l.Task.(task.Spoiler).Robustness(ctx, l.Session, task.Measure{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Task.(task.Spoiler).Robustness(ctx, l.Session, task.Measure{})
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("spoilt again: %+v, %v; want %+v", again, err, first)
	}
	var mean float64
	for _, c := range first.Corruptions {
		for _, a := range c.Severities {
			mean += a / float64(len(first.Corruptions)*imagedata.Severities)
		}
	}
	if !reflect.DeepEqual(first.Clean, score) || len(first.Corruptions) != 8 || math.Abs(first.Mean-mean) > 1e-12 || mean > 0.999 {
		t.Errorf("spoilt: %+v; want mean %v", first, mean)
	}
}

// TestAverages: what is saved is the average by its equation, for a network of text as well.
func TestAverages(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.EMA, cfg.Checkpoint.Every, cfg.Checkpoint.Keep, cfg.Eval.Every = 0.5, 1, 9, 1
	averaged, plain := filepath.Join(t.TempDir(), "averaged"), filepath.Join(t.TempDir(), "plain")
	r, err := mustTrain(t, cfg, averaged, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Train.EMA = 0
	if _, err := mustTrain(t, cfg, plain, nil); err != nil {
		t.Fatal(err)
	}
	weights := func(dir string, step int) map[string][]float32 {
		l, err := saved.Open(checkpoints.StepDir(dir, step), true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if step == 6 && dir == averaged {
			if s, err := l.Task.Evaluate(context.Background(), l.Session, task.Measure{}); err != nil || !reflect.DeepEqual(s, r.Score) {
				t.Errorf("the saved weights score %+v, %v; want %+v as in training", s, err, r.Score)
			}
		}
		all := map[string][]float32{}
		for _, name := range l.Session.Store().Names() {
			all[name] = l.Session.Store().Get(name).Float32s()
		}
		return all
	}
	var want map[string][]float32
	for step := 1; step <= 6; step++ {
		w := weights(plain, step)
		if step == 1 {
			want = w
		}
		d := min(0.5, float64(1+step)/float64(10+step))
		got := weights(averaged, step)
		for name, a := range want {
			for i := range a {
				if step > 1 {
					a[i] = float32(d*float64(a[i]) + (1-d)*float64(w[name][i]))
				}
				if math.Abs(float64(a[i]-got[name][i])) > 1e-6 {
					t.Fatalf("step %d: %s[%d] is %v, want %v", step, name, i, got[name][i], a[i])
				}
			}
		}
	}
	if bytes.Equal(modelBytes(t, averaged, 6), modelBytes(t, plain, 6)) {
		t.Error("the averages are the weights")
	}
}

// TestImageRefusals: a model of text does nothing with images, one of images nothing with text.
func TestImageRefusals(t *testing.T) {
	text, pictures := filepath.Join(t.TempDir(), "text"), filepath.Join(t.TempDir(), "images")
	cfg := imageConfig(t)
	cfg.Train.Steps = 1
	if _, err := mustTrain(t, cfg, pictures, nil); err != nil {
		t.Fatal(err)
	}
	small := smallConfig(t)
	small.Train.Steps = 1
	if _, err := mustTrain(t, small, text, nil); err != nil {
		t.Fatal(err)
	}
	of := func(dir string) *saved.Model {
		l, err := saved.Open(dir, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if goal := of(text).Task; is[task.Predictor](goal) || is[task.Explainer](goal) || is[task.Spoiler](goal) || !is[task.Generator](goal) {
		t.Error("a language model predicts, explains or is spoilt, or it writes no text")
	}
	l := of(pictures)
	if is[task.Generator](l.Task) || is[task.Attender](l.Task) || l.Task.(task.Predictor).Reads() != task.OneImage {
		t.Error("a model of images reads or writes text")
	}
	if _, err := l.Task.(task.Predictor).Predict(context.Background(), l.Session, inputs("a text")); err == nil || !strings.Contains(err.Error(), "want a PNG or JPEG") {
		t.Errorf("a text for a model of images: %v", err)
	}
	if _, err := predictImages(t, l, filepath.Join(text, "config.toml")); err == nil || !strings.Contains(err.Error(), "want PNG or JPEG") {
		t.Errorf("a file that is no image: %v", err)
	}
	wide := imageConfig(t)
	configs.Edit(&wide.Data.OneOf, func(s *imagedata.Folder) { s.Root = stripes(t, 16, 3) })
	other, err := l.Open(wide)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Evaluate(context.Background(), l.Session, task.Measure{}); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "set image_size") {
		t.Errorf("images of another size: %v, want ErrUsage", err)
	}
}

// is tells whether a task can do what the interface C asks for.
func is[C any](goal task.Task) bool {
	_, ok := goal.(C)
	return ok
}

// predictImages predicts files.
func predictImages(t *testing.T, l *saved.Model, paths ...string) ([]task.Prediction, error) {
	t.Helper()
	var in []task.Input
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, task.Input{Image: bytes.NewReader(content)})
	}
	return l.Task.(task.Predictor).Predict(context.Background(), l.Session, in)
}

// TestImageConfigs: what a config of images cannot be, and what its plan counts.
func TestImageConfigs(t *testing.T) {
	load := func(text string) error {
		file := filepath.Join(t.TempDir(), "a.toml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := Load(file, nil)
		return err
	}
	const mnist = "[data]\nsource = \"mnist\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"text network", mnist, `[model] kind = "decoder" is not for [data] source = "mnist"; want favit or vit`},
		{"text data", "[model]\nkind = \"favit\"\n", `[model] kind = "favit" is not for [data] source = "goroot"`},
		{"too small", mnist + "[model]\nkind = \"favit\"\n", `[model.favit] variant = "b0" cannot look at images of 28 pixels`},
		{"flip of text", "[data.augment]\nflip = true\n", `unknown key "augment" in [data] of source = "goroot"; it is a key of mnist, image_folder`},
		{"mixup", mnist + "[data.augment]\nmixup = -1.0\n[model]\nkind = \"favit\"\n[model.favit]\nvariant = \"tiny\"\n", `a.toml:4: [data.augment] mixup = -1.0 is out of range`},
		{"channels", "[data]\nsource = \"mnist\"\nmean = [0.1, 0.2]\nstd = [1, 1]\n[model]\nkind = \"favit\"\n[model.favit]\nvariant = \"tiny\"\n", `has 2 values; want 1`},
		{"metric", mnist + "[model]\nkind = \"favit\"\n[model.favit]\nvariant = \"tiny\"\n[eval]\nmetric = \"perplexity\"\n", `want one of loss, accuracy, top5`},
		{"ema", "[train]\nema = 1.0\n", `[train] ema = 1`},
		{"good", mnist + "[model]\nkind = \"favit\"\n[model.favit]\nvariant = \"tiny\"\n[train]\nema = 0.99\n[eval]\nmetric = \"accuracy\"\nexamples = 100\n", ""},
	} {
		err := load(c.text)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
	cfg := imageConfig(t)
	cfg.Train.EMA = 0.9
	p, err := Look(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	if _, err := cfg.Model.NewSession(p.dims, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	if p.Plan.Weights != store.Bytes() || p.Plan.Averages != store.Bytes() || p.Plan.Optimizer != 2*store.Bytes() || p.Plan.Activations == 0 {
		t.Errorf("plan %+v for weights of %d bytes", p.Plan, store.Bytes())
	}
	configs.Edit(&cfg.Model.OneOf, func(b *favit.Body) { b.Widths = []int{1 << 16, 1 << 16, 1 << 16} })
	if _, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "this machine has") {
		t.Errorf("huge: %v, want a refusal", err)
	}
}

// TestExplainPicture: panels of the image itself, gradients and each group, in a PNG of their size.
func TestExplainPicture(t *testing.T) {
	cfg := imageConfig(t)
	cfg.Train.Steps = 2
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Data.Of.(imagedata.Folder).Root, "class0", "0.png")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p, err := l.Task.(task.Explainer).Explain(context.Background(), l.Session, task.Input{Image: file})
	if err != nil {
		t.Fatal(err)
	}
	found, err := predictImages(t, l, path)
	if err != nil || found[0][0].Name != p.Prediction[0].Name || math.Abs(found[0][0].X-p.Prediction[0].X) > 1e-6 {
		t.Errorf("explains %+v, predicts %+v, %v", p.Prediction, found, err)
	}
	const want = "row 1       pixels: the image, gradient of the loss, gradient over image, receptive field\n" +
		"row 2       attention of stage 1: global 3x3, global over image, local 3x3, dilated 3x3\n" +
		"row 3       attention of stage 2: global 3x3, global over image, local 3x3\n" +
		"row 4       attention of stage 3: global 2x2, global over image, local 3x3\n"
	if got := p.Legend(); got != want {
		t.Errorf("legend:\n%swant:\n%s", got, want)
	}
	// The first panel is the file, a pixel 19 wide; the third has it in grey beneath the gradient.
	if c := p.Rows[0].Panels[0].Image.RGBAAt(19*5+3, 1); p.Side != 228 || c.R != 255 || c.G != 0 || c.B != 5 {
		t.Errorf("pixel 5 of the bar is %v of %d, want 255 0 5", c, p.Side)
	}
	over, alone := p.Rows[0].Panels[2], p.Rows[0].Panels[1]
	if over.Scale != "" || !strings.Contains(alone.Scale, " to ") || bytes.Equal(over.Image.Pix, alone.Image.Pix) {
		t.Errorf("the gradient has the scale %q, over the image %q", alone.Scale, over.Scale)
	}
}
