package denoise

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"sparrow/configs"
	"sparrow/data/cubes"
	"sparrow/data/images"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/model/denoiser"
	"sparrow/recipe"
	"sparrow/task"
)

// Task is the task of a denoiser.
type Task struct {
	cfg  recipe.Config
	body denoiser.Body
	side int // of the pictures that it trains on; 0: not known
	data *cubes.Pictures
}

// Fits says why a config is not for pictures without labels: it wants those and a denoiser.
func Fits(c recipe.Config) error {
	var err error
	if _, digits := c.Data.Images(); digits {
		_, err = task.Fit[denoiser.Body, images.Source](c, "pictures")
	} else {
		_, err = task.Fit[denoiser.Body, cubes.Source](c, `source = "cubes", or images`)
	}
	if err != nil {
		return err
	}
	body, _ := c.Model.Of.(denoiser.Body)
	if s, ok := c.Data.Of.(cubes.Source); ok && configs.Validate("model", &body.Config) == nil && s.Patch%body.Stride() != 0 {
		return &task.Misfit{Key: "data.patch", Value: s.Patch, Message: fmt.Sprintf("is no multiple of %d, the side of a window of patches; want %d", body.Stride(), (s.Patch/body.Stride()+1)*body.Stride())}
	}
	return task.Offer{Examples: true, Metrics: []string{"loss"}}.Check(c)
}

// Open opens the task; a checkpoint keeps nothing of the data.
func Open(cfg recipe.Config, _ task.Files) (*Task, error) {
	t := &Task{cfg: cfg}
	var ok bool
	if t.body, ok = cfg.Model.Of.(denoiser.Body); !ok {
		return nil, task.Refusef("[model] kind = %q is no denoiser", cfg.Model.Name)
	}
	if s, ok := cfg.Data.Of.(cubes.Source); ok {
		t.side = s.Patch
	} else if from, ok := cfg.Data.Images(); ok {
		side, _ := from.Shape()
		t.side = t.whole(side)
	}
	return t, nil
}

// whole is the side of whole windows that a picture of that side is mirrored to.
func (t *Task) whole(side int) int {
	stride := t.body.Stride()
	return (side + stride - 1) / stride * stride
}

// Read implements task.Task.
func (t *Task) Read(ctx context.Context) (err error) {
	if t.data != nil {
		return nil
	}
	switch s := t.cfg.Data.Of.(type) {
	case cubes.Source:
		t.data, err = s.Read(ctx)
	case images.Source:
		t.data, err = t.readImages(ctx, s)
	default:
		return task.Refusef("[data] source is empty; want source = \"cubes\" with paths or photographs")
	}
	if err != nil {
		t.data = nil
		return task.Refuse(err)
	}
	return nil
}

// readImages takes labelled images without their labels: the first channel of each.
func (t *Task) readImages(ctx context.Context, s images.Source) (*cubes.Pictures, error) {
	d, err := images.OpenWith(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	t.side = t.whole(max(d.Train.Height, d.Train.Width))
	p := &cubes.Pictures{From: s.Name()}
	planes := func(x *images.Images) (all []cubes.Picture) {
		for i := range x.Len() {
			pixels, _ := x.At(i)
			own := cubes.Picture{Height: x.Height, Width: x.Width, Values: make([]float32, x.Height*x.Width)}
			for k := range own.Values {
				own.Values[k] = float32(pixels[k])/127.5 - 1
			}
			all = append(all, own)
		}
		return all
	}
	p.Train, p.Validation = planes(d.Train), planes(d.Validation)
	return p, p.Prepare(t.side, false)
}

// Share implements task.Sharer.
func (t *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok && o.data != nil && task.SameData(t.cfg.Data, o.cfg.Data) && t.body.Stride() == o.body.Stride() {
		t.data, t.side = o.data, o.side
	}
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := task.Facts{Unit: "pixels", PerRow: t.side * t.side, PerBatch: t.cfg.Train.BatchSize * t.side * t.side, Each: "picture"}
	if t.data != nil {
		f.Line, f.Hash, f.Rows = t.data.Describe(), t.data.SHA256, t.crops(t.data.Train, task.Feed{Rows: 1}).Pieces()
		for _, p := range append(t.data.Train[:len(t.data.Train):len(t.data.Train)], t.data.Validation...) {
			f.Bytes += 4 * len(p.Values)
		}
	}
	return f
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) {
	if t.side == 0 {
		return model.Dims{}, task.ErrUnread
	}
	return model.ImageDims(1, t.side, 1), nil
}

// Metrics implements task.Task.
func (t *Task) Metrics() []task.Metric {
	return []task.Metric{{Name: "loss", Falling: true, Means: "squared error of noise of variance 1", Digits: 4}}
}

// Longest implements task.Task.
func (t *Task) Longest() (key string, n int) { return "patch", t.side * t.side }

// Shapes implements task.Stepped.
func (t *Task) Shapes(rows int) []model.Shape { return []model.Shape{t.shape(rows)} }

func (t *Task) shape(rows int) model.Shape {
	return model.Shape{Rows: rows, Height: t.side, Width: t.side}
}

// crops are of a part; a training one is varied.
func (t *Task) crops(pictures []cubes.Picture, f task.Feed) *cubes.Crops {
	return cubes.NewCrops(pictures, cubes.CropConfig{Rows: f.Rows, Side: t.side, Seed: f.Seed, Sigma: [2]float64(t.body.Sigma), Plain: f.Mode != model.Train})
}

// validationSeed draws the same pieces and noise in each evaluation.
const validationSeed = 1

// evaluated is how many pieces an evaluation takes unless [eval] examples says otherwise.
const evaluated = 256

// Batches implements task.Stepped.
func (t *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	if f.File != "" {
		return nil, task.Refusef("--file %s: a denoiser is measured on its validation pictures; to restore a file use model restore", f.File)
	}
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	f.Rows = cmp.Or(f.Rows, t.cfg.Train.BatchSize)
	shape := t.shape(f.Rows)
	if err := f.Prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	pictures := t.data.Train
	if f.Split != task.Training {
		pictures, f.Seed = t.data.Validation, validationSeed
	}
	crops := t.crops(pictures, f)
	size := t.side * t.side
	clean, noise, sigma := make([]float32, f.Rows*size), make([]float32, f.Rows*size), make([]float64, f.Rows)
	feeder := &task.Feeder{Order: crops, Fill: func(int) (*model.Program, int, error) {
		p, err := f.Program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		crops.Next(clean, noise, sigma)
		feed(p, clean, noise, sigma)
		return p, len(clean), nil
	}}
	if !f.Endless() {
		pieces := evaluated
		if f.Limit > 0 {
			pieces = (f.Limit + size - 1) / size
		}
		feeder.N = max(1, (min(pieces, max(crops.Pieces(), f.Rows))+f.Rows-1)/f.Rows)
	}
	return feeder, nil
}

// feed gives rows of pictures and noise to a program: pixels are clean + sigma noise, scaled; the truth is what the linear guess lacks.
func feed(p *model.Program, clean, noise []float32, sigma []float64) {
	size := len(clean) / len(sigma)
	pixels, truth := make([]float32, len(clean)), make([]float32, len(clean))
	levels := make([]float32, len(sigma)*denoiser.LevelWidth)
	for row, s := range sigma {
		denoiser.Levels(levels[row*denoiser.LevelWidth:(row+1)*denoiser.LevelWidth], s)
		scale, linear := float32(denoiser.Scale(s)), float32(denoiser.Linear(s))
		for i := row * size; i < (row+1)*size; i++ {
			y := clean[i] + float32(s)*noise[i]
			pixels[i], truth[i] = scale*y, noise[i]-linear*y
		}
	}
	p.Floats("pixels").Set(pixels)
	p.Floats("levels").Set(levels)
	p.Floats("truth").Set(truth)
	p.Feed(map[string][]int{"targets": nil}) // all count
}

// Evaluate implements task.Task.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	if m.Split == task.Test {
		return task.Score{}, task.Refusef("--split test: a denoiser has no test split; model restore --eval measures it on a cube")
	}
	f := task.Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 && t.cfg.Eval.Examples > 0 {
		f.Limit = t.cfg.Eval.Examples * t.side * t.side
	}
	stream, err := t.Batches(ctx, s, f)
	if err != nil {
		return task.Score{}, err
	}
	loss, n, err := task.Evaluate(ctx, stream, "validation pictures", m, nil)
	return task.Score{Unit: "pixels", Count: n, Values: []metrics.Value{{Name: "loss", X: loss}}}, err
}

// Denoise implements task.Denoiser: the picture is scaled to -1 to 1, mirrored to whole windows, and freed of what the network says is
// noise.
func (t *Task) Denoise(ctx context.Context, s *model.Session, picture []float64, height, width int, sigma float64) ([]float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	span := cubes.Span(picture)
	half := (span.High - span.Low) / 2
	level := min(max(sigma/half, t.body.Sigma[0]), t.body.Sigma[1])
	y := make([]float64, len(picture))
	for i, v := range picture {
		y[i] = (v-span.Low)/half - 1
	}
	noise, err := t.noise(s, y, height, width, level)
	if err != nil {
		return nil, err
	}
	for i, v := range y {
		y[i] = span.Low + half*(v-level*noise[i]+1)
	}
	return y, nil
}

// noise is what the network says is noise in a picture of values from -1 to 1, in units of its deviation.
func (t *Task) noise(s *model.Session, y []float64, height, width int, sigma float64) ([]float64, error) {
	h, w := t.whole(height), t.whole(width)
	p, err := s.Program(model.Infer, model.Shape{Rows: 1, Height: h, Width: w})
	if err != nil {
		return nil, err
	}
	scale, linear := denoiser.Scale(sigma), denoiser.Linear(sigma)
	pixels, levels := make([]float32, h*w), make([]float32, denoiser.LevelWidth)
	for i := range h {
		for k := range w {
			pixels[i*w+k] = float32(scale * y[cubes.Mirrored(i, height)*width+cubes.Mirrored(k, width)])
		}
	}
	denoiser.Levels(levels, sigma)
	p.Floats("pixels").Set(pixels)
	p.Floats("levels").Set(levels)
	if err := p.Run(); err != nil {
		return nil, err
	}
	out := p.Output("noise").Float64s()
	noise := make([]float64, len(y))
	for i := range height {
		for k := range width {
			at := i*width + k
			noise[at] = out[i*w+k] + linear*y[at]
			if math.IsNaN(noise[at]) {
				return nil, fmt.Errorf("denoise: the network says that noise is NaN at row %d, column %d; want a run whose training did not fail", i+1, k+1)
			}
		}
	}
	return noise, nil
}
