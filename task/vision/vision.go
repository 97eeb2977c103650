package vision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/configs"
	imagedata "sparrow/data/images"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// ImageFormat is images.json: how a classifier of images takes them.
type ImageFormat struct {
	Side     int `json:"image_size"` // pixels
	Channels int `json:"channels"`
	imagedata.Normalisation
	imagedata.Scaling // of an image to be predicted
}

// maxSide bounds what a checkpoint may ask for: an image of more pixels is read from no file.
const maxSide = 1 << 13

// readImageFormat reads a checkpoint's images.json.
func readImageFormat(files task.Files) (*ImageFormat, error) {
	text, err := files.File("images.json")
	if err != nil {
		return nil, err
	}
	f := &ImageFormat{}
	if err := task.StrictJSON(text, f); err != nil {
		return nil, fmt.Errorf("%s/images.json: want the size of the images and the mean and std of each channel: %w", files.Dir(), err)
	}
	switch {
	case f.Side < 1 || f.Side > maxSide:
		err = fmt.Errorf("image_size = %d; want 1 to %d", f.Side, maxSide)
	case f.Channels != 1 && f.Channels != 3:
		err = fmt.Errorf("channels = %d; want 1 or 3", f.Channels)
	case len(f.Mean) != f.Channels || len(f.Std) != f.Channels:
		err = fmt.Errorf("%d means and %d deviations; want one for each of %d channels", len(f.Mean), len(f.Std), f.Channels)
	case slices.Min(f.Std) <= 0 || !kernel.AllFinite(f.Mean) || !kernel.AllFinite(f.Std):
		err = fmt.Errorf("mean = %v, std = %v; want finite numbers and deviations above 0", f.Mean, f.Std)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s/images.json: %w", checkpoints.ErrCheckpoint, files.Dir(), err)
	}
	if err := f.Scaling.Check(); err != nil {
		return nil, fmt.Errorf("%w: %s/images.json: %w", checkpoints.ErrCheckpoint, files.Dir(), err)
	}
	return f, nil
}

// Task is the task of an image classifier: the label of each image.
type Task struct {
	cfg    recipe.Config
	labels *task.Labels // nil: only the data tells them, as format
	format *ImageFormat // of the network
	data   *imagedata.Dataset
}

// Fits says why a config is not for images with labels: it wants those and a network with a vector for each image.
func Fits(c recipe.Config) error {
	if _, err := task.Fit[model.Viewer, imagedata.Source](c, "images"); err != nil {
		return err
	}
	if err := fitsSize(c); err != nil {
		return err
	}
	return task.Offer{Examples: true, Metrics: []string{"loss", "accuracy", "top5", "f1", "macro_f1", "matthews"}}.Check(c)
}

// fitsSize says why a network cannot look at images of the config's size, where the config tells it. What no network can have
// its own table reports.
func fitsSize(c recipe.Config) error {
	fitted, ok := c.Model.Of.(model.Fitted)
	from, has := c.Data.Images()
	if !ok || !has {
		return nil
	}
	side, channels := from.Shape()
	if side == 0 {
		return nil
	}
	if err := fitted.Check(model.Dims{Classes: 2, ImageSize: side, Channels: channels}); err != nil && !errors.Is(err, configs.ErrConfig) {
		return &task.Misfit{Key: "model." + fitted.SizeKey(), Message: fmt.Sprintf("cannot look at images of %d pixels: %v", side, err)}
	}
	return nil
}

// Open takes labels and format of a checkpoint, if there is one.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	t := &Task{cfg: cfg}
	if files == nil {
		return t, nil
	}
	var err error
	if t.format, err = readImageFormat(files); err != nil {
		return nil, err
	}
	if t.labels, err = task.ReadLabels(files); err == nil && t.labels.Regression {
		err = fmt.Errorf("%w: %s/labels.json: want the names of the classes", checkpoints.ErrCheckpoint, files.Dir())
	}
	return t, err
}

// Read implements task.Task.
func (t *Task) Read(ctx context.Context) (err error) {
	if t.data != nil {
		return nil
	}
	if t.cfg.Data.IsNone() {
		return task.Refusef("[data] source is empty: the model comes from elsewhere and has no data of its own: name a folder of images by --set data.source=image_folder --set data.root=FOLDER --set data.image_size=%d, or compress it with a table [compress.data]", t.format.Side)
	}
	defer func() {
		if err != nil {
			err = task.Refuse(err)
		}
	}()
	from, _ := t.cfg.Data.Images()
	var known []string
	if t.labels != nil {
		known = t.labels.Names
	}
	if folder, ok := from.(imagedata.Folder); ok && t.format != nil { // as those that it predicts
		folder.Scaling = t.format.Scaling
		from = folder
	}
	d, err := imagedata.OpenWith(ctx, from, known)
	if err != nil {
		return err
	}
	return t.take(d)
}

// take notes what data that has been read tells.
func (t *Task) take(d *imagedata.Dataset) error {
	x := d.Train
	if err := task.CheckMetric(t.cfg.Eval.Metric, len(d.Labels)); err != nil {
		return err
	}
	if x.Height != x.Width {
		return fmt.Errorf("[data] images of %d x %d pixels; want square ones: set image_size", x.Height, x.Width)
	}
	f := t.format
	if f == nil {
		f = &ImageFormat{Side: x.Height, Channels: x.Channels, Normalisation: d.Normalisation}
	}
	if err := f.check(x); err != nil {
		return err
	}
	if body, ok := t.cfg.Model.Of.(model.Fitted); ok {
		if err := body.Check(model.Dims{Classes: len(d.Labels), ImageSize: f.Side, Channels: f.Channels}); err != nil {
			return err
		}
	}
	t.data, t.format, t.labels = d, f, &task.Labels{Names: d.Labels}
	_, err := t.loader(task.Feed{Rows: t.cfg.Train.BatchSize})
	return err
}

// loader is of the training split.
func (t *Task) loader(f task.Feed) (*imagedata.Loader, error) {
	c := imagedata.LoaderConfig{BatchSize: f.Rows, Classes: len(t.labels.Names), Seed: f.Seed, Normalisation: t.format.Normalisation}
	if from, _ := t.cfg.Data.Images(); f.Mode == model.Train && from.Images().Augment != nil {
		c.Augment = *from.Images().Augment
	}
	return imagedata.NewLoader(t.data.Train, c)
}

// check refuses images that a model was not made for.
func (f ImageFormat) check(x *imagedata.Images) error {
	if x.Height != f.Side || x.Width != f.Side || x.Channels != f.Channels {
		return fmt.Errorf("[data] images of %d x %d pixels and %d channels; the model was trained on %d x %d and %d: set image_size", x.Height, x.Width, x.Channels, f.Side, f.Side, f.Channels)
	}
	return nil
}

// Share implements Sharer.
func (t *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok && o.data != nil && task.SameData(t.cfg.Data, o.cfg.Data) {
		t.data, t.format, t.labels = o.data, o.format, o.labels
	}
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := task.Facts{Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "image"}
	if t.labels != nil {
		f.Files = map[string][]byte{"labels.json": task.JSONFile(t.labels), "images.json": task.JSONFile(t.format)}
	}
	if t.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = t.data.Describe(), t.data.SHA256, t.data.Bytes(), t.data.Train.Len()
	}
	return f
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) {
	if t.labels == nil {
		return model.Dims{}, task.ErrUnread
	}
	return model.ImageDims(len(t.labels.Names), t.format.Side, t.format.Channels), nil
}

// pixels is how many an image has.
func (t *Task) pixels() int { return t.format.Side * t.format.Side }

func (t *Task) shape(rows int) model.Shape {
	return model.Shape{Rows: rows, Height: t.format.Side, Width: t.format.Side}
}

// feedImages gives a batch to a program.
func feedImages(p *model.Program, b *imagedata.Batch) {
	p.Floats("pixels").Set(b.Pixels)
	if p.Has("distribution") {
		p.Floats("distribution").Set(b.Targets)
		return
	}
	p.Feed(map[string][]int{"targets": b.Labels})
}

// Shapes implements task.Stepped.
func (t *Task) Shapes(rows int) []model.Shape { return []model.Shape{t.shape(rows)} }

// Metrics implements task.Task.
func (t *Task) Metrics() []task.Metric { return t.labels.Metrics(true) }

// Longest implements task.Task.
func (t *Task) Longest() (key string, n int) { return "image_size", t.pixels() }

// Batches implements task.Stepped.
func (t *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	return t.stream(ctx, s, f, nil, &imagedata.Batch{})
}

// stream is Batches of which each batch is in b until the next; spoilt, if not nil, spoils the images of an evaluation.
func (t *Task) stream(ctx context.Context, s *model.Session, f task.Feed, spoilt *imagedata.Corruption, b *imagedata.Batch) (task.Stream, error) {
	if f.File != "" {
		return nil, task.Refusef("--file %s: the model labels images, which are in folders: want --set data.root=FOLDER", f.File)
	}
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	f.Rows = cmp.Or(f.Rows, t.cfg.Train.BatchSize)
	shape := t.shape(f.Rows)
	fed := func() (*model.Program, int, error) {
		p, err := f.Program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		feedImages(p, b)
		return p, b.N, nil
	}
	if err := f.Prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	if f.Endless() {
		loader, err := t.loader(f)
		if err != nil {
			return nil, err
		}
		return &task.Feeder{Order: loader, Fill: func(int) (*model.Program, int, error) {
			loader.Next(b)
			return fed()
		}}, nil
	}
	x, err := task.Part(f.Split, t.data.Train, t.data.Validation, t.data.Test, "")
	if err != nil {
		return nil, err
	}
	set := imagedata.EvalBatches(x, t.format.Normalisation, f.Rows, f.Limit, spoilt)
	if set.Len() == 0 {
		return nil, fmt.Errorf("train: no images to measure on")
	}
	return &task.Feeder{N: set.Batches(), Fill: func(i int) (*model.Program, int, error) {
		if err := set.Batch(i, b); err != nil {
			return nil, 0, err
		}
		return fed()
	}}, nil
}

// Evaluate implements task.Task.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	return t.evaluate(ctx, s, m, nil)
}

// evaluate measures on images that are spoilt unless spoilt is nil.
func (t *Task) evaluate(ctx context.Context, s *model.Session, m task.Measure, spoilt *imagedata.Corruption) (task.Score, error) {
	f := task.Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 {
		f.Limit = t.cfg.Eval.Examples
	}
	var b imagedata.Batch
	batches, err := t.stream(ctx, s, f, spoilt, &b)
	if err != nil {
		return task.Score{}, err
	}
	a := task.NewAnswers(*t.labels)
	loss, n, err := task.Evaluate(ctx, batches, "images", m, func(p *model.Program, n int) { a.Add(p, n, b.Labels, nil) })
	if n == 0 {
		return task.Score{}, err
	}
	return a.Score(t, loss, n), err
}

// Suggest implements Suggester.
func (t *Task) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	return task.Suggestion{Command: "predict", Args: []string{"IMAGE.png"}}, nil
}
