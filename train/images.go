package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/model"
)

// ImageFormat is images.json: how a classifier of images takes them.
type ImageFormat struct {
	Side     int `json:"image_size"` // pixels
	Channels int `json:"channels"`
	data.Normalisation
}

// dims are the sizes of a network that gives such labels to such images.
func (f ImageFormat) dims(l Labels) model.Dims {
	return model.ImageDims(len(l.Names), f.Side, f.Channels)
}

// readImageFormat reads a checkpoint's images.json.
func readImageFormat(c *checkpoints.Checkpoint) (*ImageFormat, error) {
	text, err := c.File("images.json")
	if err != nil {
		return nil, err
	}
	f := &ImageFormat{}
	if err := json.Unmarshal(text, f); err != nil || f.Side < 1 || f.Channels < 1 || len(f.Mean) != f.Channels || len(f.Std) != f.Channels || slices.Min(f.Std) <= 0 {
		return nil, fmt.Errorf("%w: %s/images.json: want the size of the images and the mean and std of each channel: %w", checkpoints.ErrCheckpoint, c.Dir(), err)
	}
	return f, nil
}

// images is the task of an image classifier: the label of each image.
type images struct {
	cfg    Config
	data   *data.ImageDataset
	labels Labels
	format ImageFormat
	loader *data.ImageLoader
	batch  data.ImageBatch
	build  func() (*model.Program, error)
}

func openImages(ctx context.Context, cfg Config, from *kept) (*images, error) {
	var d *data.ImageDataset
	var err error
	if from == nil {
		d, err = data.OpenImages(ctx, cfg.Data)
	} else {
		d, err = from.openImages(ctx, cfg.Data)
	}
	if err != nil {
		return nil, err
	}
	if err := checkMetric(cfg.Eval.Metric, len(d.Labels)); err != nil {
		return nil, err
	}
	if d.Train.Height != d.Train.Width {
		return nil, fmt.Errorf("[data] images of %d x %d pixels; want square ones: set image_size", d.Train.Height, d.Train.Width)
	}
	t := &images{cfg: cfg, data: d, labels: Labels{Names: d.Labels}}
	t.format = ImageFormat{Side: d.Train.Height, Channels: d.Train.Channels, Normalisation: d.Normalisation}
	if from != nil {
		if err := from.images.check(d.Train); err != nil {
			return nil, err
		}
		t.format = *from.images
	}
	if err := cfg.Model.FaViT.Check(model.FaViTDims{Classes: len(d.Labels), ImageSize: t.format.Side, Channels: t.format.Channels}); err != nil {
		return nil, err
	}
	loader := data.ImageLoaderConfig{BatchSize: cfg.Train.BatchSize, Classes: len(d.Labels), Seed: cfg.Seed, Normalisation: t.format.Normalisation}
	if cfg.Data.Augment != nil {
		loader.Augment = *cfg.Data.Augment
	}
	t.loader, err = data.NewImageLoader(d.Train, loader)
	return t, err
}

// check refuses images that a model was not made for.
func (f ImageFormat) check(x *data.Images) error {
	if x.Height != f.Side || x.Width != f.Side || x.Channels != f.Channels {
		return fmt.Errorf("[data] images of %d x %d pixels and %d channels; the model was trained on %d x %d and %d: set image_size", x.Height, x.Width, x.Channels, f.Side, f.Side, f.Channels)
	}
	return nil
}

// checkMetric refuses metrics that a number of classes has not.
func checkMetric(metric string, classes int) error {
	switch {
	case metric == "f1" && classes != 2:
		return fmt.Errorf("[eval] metric = %q is of two classes, and the data has %d; want one of macro_f1, accuracy, matthews, loss", metric, classes)
	case metric == "top5" && classes <= topK:
		return fmt.Errorf("[eval] metric = %q is of more than %d classes, and the data has %d; want one of accuracy, macro_f1, matthews, loss", metric, topK, classes)
	}
	return nil
}

func (t *images) about() about {
	dims := t.format.dims(t.labels)
	return about{
		data: t.data.Describe(), sha256: t.data.SHA256, bytes: t.data.Bytes(), dims: dims, seqLen: dims.Context, lengths: 1,
		files: map[string][]byte{"labels.json": jsonFile(t.labels), "images.json": jsonFile(t.format)}, unit: "examples",
	}
}

// jsonFile is a value as a file.
func jsonFile(x any) []byte {
	text, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		panic(err) // impossible: strings, flags and finite numbers
	}
	return append(text, '\n')
}

func (t *images) begin(s *model.Session, program func(batch, seqLen int) (*model.Program, error)) (err error) {
	t.build = func() (*model.Program, error) { return program(t.cfg.Train.BatchSize, s.Dims().Context) }
	_, err = t.build()
	return err
}

func (t *images) next() (*model.Program, int, error) {
	p, err := t.build()
	if err != nil {
		return nil, 0, err
	}
	t.loader.Next(&t.batch)
	p.FeedImages(model.Images{Pixels: t.batch.Pixels, Targets: t.batch.Targets, Labels: t.batch.Labels})
	return p, t.batch.N, nil
}

func (t *images) lengths() []int { return nil }

func (t *images) cursor() data.Cursor           { return t.loader.Cursor() }
func (t *images) seek(cursor data.Cursor) error { return t.loader.Seek(cursor) }

func (t *images) evaluate(ctx context.Context, s *model.Session, after func(done, total int, loss float64)) (Score, error) {
	set := data.ImageBatches(t.data.Validation, t.format.Normalisation, t.cfg.Train.BatchSize, t.cfg.Eval.Examples, nil)
	return EvaluateImages(ctx, s, set, t.cfg.Train.BatchSize, after)
}

func (t *images) finish(_ context.Context, _ *model.Session, r *Result) error {
	r.Images = true
	return nil
}

// topK is how many of the likeliest classes the metric top5 looks among.
const topK = 5

// EvaluateImages measures a classifier on a set of images in batches of batch. after, if not nil, is told of every batch and
// of the mean loss so far.
func EvaluateImages(ctx context.Context, s *model.Session, set *data.ImageSet, batch int, after func(done, total int, loss float64)) (Score, error) {
	if set.Len() == 0 {
		return Score{}, fmt.Errorf("train: no images to measure on")
	}
	dims := s.Dims()
	program, err := s.Score(batch, dims.Context)
	if err != nil {
		return Score{}, err
	}
	var b data.ImageBatch
	var sum float64
	seen := newConfusion(dims.Classes)
	count, near := 0, 0
	for i := range set.Batches() {
		if err := ctx.Err(); err != nil {
			return Score{}, err
		}
		if err := set.Batch(i, &b); err != nil {
			return Score{}, err
		}
		program.FeedImages(model.Images{Pixels: b.Pixels, Labels: b.Labels})
		if err := program.Run(); err != nil {
			return Score{}, err
		}
		sum += program.Loss()
		count += b.N
		logits := program.Logits()
		for row := range b.N {
			scores := logits[row*dims.Classes : (row+1)*dims.Classes]
			seen[b.Labels[row]][largest(scores)]++
			if rank(scores, b.Labels[row]) < topK {
				near++
			}
		}
		if after != nil {
			after(i+1, set.Batches(), sum/float64(count))
		}
	}
	score := Score{Loss: sum / float64(count), Examples: count, Classes: dims.Classes, Images: true, Top5: float64(near) / float64(count)}
	if math.IsNaN(score.Loss) || math.IsInf(score.Loss, 0) {
		return score, fmt.Errorf("train: the loss on the images is %v", score.Loss)
	}
	seen.rate(&score)
	return score, nil
}

// rank is how many values come before x[i]: larger ones, and equal ones on its left, as largest chooses.
func rank(x []float64, i int) int {
	n := 0
	for j, v := range x {
		if v > x[i] || v == x[i] && j < i {
			n++
		}
	}
	return n
}
