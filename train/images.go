package train

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sparrow/checkpoints"
	imagedata "sparrow/data/images"
	"sparrow/model"
)

// ImageFormat is images.json: how a classifier of images takes them.
type ImageFormat struct {
	Side     int `json:"image_size"` // pixels
	Channels int `json:"channels"`
	imagedata.Normalisation
}

// readImageFormat reads a checkpoint's images.json.
func readImageFormat(files Files) (*ImageFormat, error) {
	text, err := files.File("images.json")
	if err != nil {
		return nil, err
	}
	f := &ImageFormat{}
	if err := json.Unmarshal(text, f); err != nil || f.Side < 1 || f.Channels < 1 || len(f.Mean) != f.Channels || len(f.Std) != f.Channels || slices.Min(f.Std) <= 0 {
		return nil, fmt.Errorf("%w: %s/images.json: want the size of the images and the mean and std of each channel: %w", checkpoints.ErrCheckpoint, files.Dir(), err)
	}
	return f, nil
}

// images is the task of an image classifier: the label of each image.
type images struct {
	cfg    Config
	labels *Labels      // nil: only the data tells them, as format
	format *ImageFormat // of the network
	data   *imagedata.Dataset
}

// openImages takes labels and format of a checkpoint, if there is one.
func openImages(cfg Config, files Files) (*images, error) {
	t := &images{cfg: cfg}
	if files == nil {
		return t, nil
	}
	var err error
	if t.format, err = readImageFormat(files); err != nil {
		return nil, err
	}
	if t.labels, err = readLabels(files); err == nil && t.labels.Regression {
		err = fmt.Errorf("%w: %s/labels.json: want the names of the classes", checkpoints.ErrCheckpoint, files.Dir())
	}
	return t, err
}

func (t *images) Read(ctx context.Context) (err error) {
	if t.data != nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = Refuse(err)
		}
	}()
	var d *imagedata.Dataset
	if t.labels == nil {
		d, err = imagedata.Open(ctx, t.cfg.Data.Images())
	} else {
		d, err = imagedata.OpenWith(ctx, t.cfg.Data.Images(), t.labels.Names)
	}
	if err != nil {
		return err
	}
	return t.take(d)
}

// take notes what data that has been read tells.
func (t *images) take(d *imagedata.Dataset) error {
	x := d.Train
	if err := checkMetric(t.cfg.Eval.Metric, len(d.Labels)); err != nil {
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
	if err := t.cfg.Model.FaViT.Check(model.FaViTDims{Classes: len(d.Labels), ImageSize: f.Side, Channels: f.Channels}); err != nil {
		return err
	}
	t.data, t.format, t.labels = d, f, &Labels{Names: d.Labels}
	_, err := t.loader(Feed{Rows: t.cfg.Train.BatchSize})
	return err
}

// loader is of the training split.
func (t *images) loader(f Feed) (*imagedata.Loader, error) {
	c := imagedata.LoaderConfig{BatchSize: f.Rows, Classes: len(t.labels.Names), Seed: f.Seed, Normalisation: t.format.Normalisation}
	if f.Mode == model.Train && t.cfg.Data.Augment != nil {
		c.Augment = *t.cfg.Data.Augment
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
func (t *images) Share(from Task) {
	if o, ok := from.(*images); ok && o.data != nil && sameData(t.cfg.Data, o.cfg.Data) {
		t.data, t.format, t.labels = o.data, o.format, o.labels
	}
}

func (t *images) Facts() Facts {
	f := Facts{Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "image"}
	if t.labels != nil {
		f.Files = map[string][]byte{"labels.json": jsonFile(t.labels), "images.json": jsonFile(t.format)}
	}
	if t.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = t.data.Describe(), t.data.SHA256, t.data.Bytes(), t.data.Train.Len()
	}
	return f
}

func (t *images) Dims() (model.Dims, error) {
	if t.labels == nil {
		return model.Dims{}, ErrUnread
	}
	return model.ImageDims(len(t.labels.Names), t.format.Side, t.format.Channels), nil
}

// pixels is how many an image has.
func (t *images) pixels() int { return t.format.Side * t.format.Side }

func (t *images) shape(rows int) model.Shape {
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

func (t *images) Shapes(rows int) []model.Shape { return []model.Shape{t.shape(rows)} }

func (t *images) Metrics() []Metric { return t.labels.metrics(true) }

func (t *images) Longest() (key string, n int) { return "image_size", t.pixels() }

func (t *images) Batches(ctx context.Context, s *model.Session, f Feed) (Stream, error) {
	return t.stream(ctx, s, f, nil, &imagedata.Batch{})
}

// stream is Batches of which each batch is in b until the next; spoilt, if not nil, spoils the images of an evaluation.
func (t *images) stream(ctx context.Context, s *model.Session, f Feed, spoilt *imagedata.Corruption, b *imagedata.Batch) (Stream, error) {
	if f.File != "" {
		return nil, Refusef("--file %s: the model labels images, which are in folders: want --set data.root=FOLDER", f.File)
	}
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	f.Rows = cmp.Or(f.Rows, t.cfg.Train.BatchSize)
	shape := t.shape(f.Rows)
	fed := func() (*model.Program, int, error) {
		p, err := f.program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		feedImages(p, b)
		return p, b.N, nil
	}
	if err := f.prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	if f.endless() {
		loader, err := t.loader(f)
		if err != nil {
			return nil, err
		}
		return &stream{order: loader, fill: func(int) (*model.Program, int, error) {
			loader.Next(b)
			return fed()
		}}, nil
	}
	x, err := chosen(f.Split, t.data.Train, t.data.Validation, t.data.Test, "")
	if err != nil {
		return nil, err
	}
	set := imagedata.EvalBatches(x, t.format.Normalisation, f.Rows, f.Limit, spoilt)
	if set.Len() == 0 {
		return nil, fmt.Errorf("train: no images to measure on")
	}
	return &stream{batches: set.Batches(), fill: func(i int) (*model.Program, int, error) {
		if err := set.Batch(i, b); err != nil {
			return nil, 0, err
		}
		return fed()
	}}, nil
}

func (t *images) Evaluate(ctx context.Context, s *model.Session, m Measure) (Score, error) {
	return t.evaluate(ctx, s, m, nil)
}

// evaluate measures on images that are spoilt unless spoilt is nil.
func (t *images) evaluate(ctx context.Context, s *model.Session, m Measure, spoilt *imagedata.Corruption) (Score, error) {
	f := Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 {
		f.Limit = t.cfg.Eval.Examples
	}
	var b imagedata.Batch
	batches, err := t.stream(ctx, s, f, spoilt, &b)
	if err != nil {
		return Score{}, err
	}
	a := newAnswers(*t.labels)
	loss, n, err := evaluate(ctx, batches, "images", m, func(p *model.Program, n int) { a.add(p, n, b.Labels, nil) })
	if n == 0 {
		return Score{}, err
	}
	return a.score(t, loss, n), err
}

// Suggest implements Suggester.
func (t *images) Suggest(context.Context, *model.Session) (Suggestion, error) {
	return Suggestion{Command: "predict", Args: []string{"IMAGE.png"}}, nil
}
