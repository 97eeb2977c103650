package images

import (
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/internal/rng"
)

// LoaderConfig says how a Loader makes batches.
type LoaderConfig struct {
	BatchSize int    // B, rows a batch, at least 1
	Classes   int    // of the targets
	Seed      uint64 // fixes order and augmentation; equal seeds give equal batches
	Normalisation
	Augment AugmentConfig
}

// Batch is B images as a network takes them. The slices are reused from batch to batch.
type Batch struct {
	N       int       // rows that are images, at least 1; they come first
	Pixels  []float32 // [B*H*W, C], normalised; 0 in rows that are none
	Targets []float32 // [B, classes], distributions; 0 in rows that are none; of evaluation empty
	Labels  []int     // [B]; IgnoredTarget for rows that are none
	Index   []int     // [B], the images in their split; -1 for rows that are none
}

// Loader hands out training batches: in each epoch every image once, in a pseudo-random order and a variant of its own;
// the last batch of an epoch may have empty rows.
//
// Batches are a function of (seed, epoch, position), so a Loader at a Cursor is the same whether it walked there or was
// put there. With mixup or cutmix an image is mixed with the one as far from the batch's other end. A Loader is for one
// goroutine.
type Loader struct {
	images *Images
	cfg    LoaderConfig
	cursor data.Cursor // Position counts the batches of this epoch
	order  *data.Permutation
	vary   *augmenter
	plain  []float32 // scratch: the batch before it is mixed
}

// NewLoader returns a Loader at the start of epoch 0. It fails when there are no images or a size is out of range.
func NewLoader(images *Images, cfg LoaderConfig) (*Loader, error) {
	switch {
	case images.Len() == 0:
		return nil, fmt.Errorf("data: loader: no images, want at least 1")
	case cfg.BatchSize < 1 || cfg.BatchSize > math.MaxInt32:
		return nil, fmt.Errorf("data: loader: batch size %d, want at least 1", cfg.BatchSize)
	case cfg.Classes < 1:
		return nil, fmt.Errorf("data: loader: %d classes, want at least 1", cfg.Classes)
	case len(cfg.Mean) != images.Channels || len(cfg.Std) != images.Channels:
		return nil, fmt.Errorf("data: loader: normalisation of %d and %d channels for images of %d", len(cfg.Mean), len(cfg.Std), images.Channels)
	}
	l := &Loader{images: images, cfg: cfg, vary: newAugmenter(cfg.Augment, cfg.Normalisation, images)}
	l.startEpoch(0)
	return l, nil
}

// Batches returns the number of batches of an epoch.
func (l *Loader) Batches() int {
	return (l.images.Len() + l.cfg.BatchSize - 1) / l.cfg.BatchSize
}

func (l *Loader) startEpoch(epoch int) {
	l.order = data.NewPermutation(l.images.Len(), l.cfg.Seed, "data/images", uint64(epoch))
	l.cursor = data.Cursor{Epoch: epoch}
}

// Next sets batch to the next one and moves the cursor.
func (l *Loader) Next(batch *Batch) {
	if l.cursor.Position == l.Batches() {
		l.startEpoch(l.cursor.Epoch + 1)
	}
	first := l.cursor.Position * l.cfg.BatchSize
	batch.reset(l.images, l.cfg.BatchSize, min(l.cfg.BatchSize, l.images.Len()-first))
	for row := range batch.N {
		batch.Index[row] = l.order.At(first + row)
		_, batch.Labels[row] = l.images.At(batch.Index[row])
	}
	l.fill(batch)
	l.cursor.Position++
}

// fill makes the pixels and targets of the images of a batch.
func (l *Loader) fill(batch *Batch) {
	size, classes := len(batch.Pixels)/l.cfg.BatchSize, l.cfg.Classes
	batch.Targets = data.Resized(batch.Targets, l.cfg.BatchSize*classes)
	clear(batch.Targets)
	mixed := l.cfg.Augment.mixes()
	plain := batch.Pixels
	if mixed {
		l.plain = data.Resized(l.plain, len(batch.Pixels))
		plain = l.plain
	}
	for row := range batch.N {
		l.vary.put(plain[row*size:(row+1)*size], batch.Index[row], l.draws("augment", batch.Index[row]))
	}
	for row := range batch.N {
		target := batch.Targets[row*classes : (row+1)*classes]
		if !mixed {
			l.addTarget(target, batch.Labels[row], 1)
			continue
		}
		other := batch.N - 1 - row
		m := l.cfg.Augment.drawMixture(l.images.Height, l.images.Width, l.draws("mix", batch.Index[row]))
		m.apply(batch.Pixels[row*size:(row+1)*size], plain[row*size:(row+1)*size], plain[other*size:(other+1)*size], l.images.Width, l.images.Channels)
		l.addTarget(target, batch.Labels[row], m.keep)
		l.addTarget(target, batch.Labels[other], 1-m.keep)
	}
}

// addTarget adds weight times the smoothed target of a label.
func (l *Loader) addTarget(target []float32, label int, weight float64) {
	spread := l.cfg.Augment.LabelSmoothing / float64(len(target))
	for i := range target {
		target[i] += float32(weight * spread)
	}
	target[label] += float32(weight * (1 - l.cfg.Augment.LabelSmoothing))
}

// draws are the random numbers of one purpose for an image in this epoch.
func (l *Loader) draws(purpose string, index int) *rng.Source {
	return rng.New(l.cfg.Seed, fmt.Sprintf("data/%s/%d", purpose, l.cursor.Epoch), uint64(index))
}

// Cursor returns the place of the next batch: Position counts batches of the epoch. Seek with it, in this process or
// another, continues with equal batches.
func (l *Loader) Cursor() data.Cursor { return l.cursor }

// Seek moves to a cursor that came from a Loader over the same images with the same config. A cursor that no such
// loader can have is an error and moves nothing.
func (l *Loader) Seek(c data.Cursor) error {
	if c.Epoch < 0 || c.Position < 0 {
		return fmt.Errorf("data: loader: cursor at epoch %d, position %d, want neither negative", c.Epoch, c.Position)
	}
	if c.Position > l.Batches() {
		return fmt.Errorf("data: loader: cursor at position %d of epoch %d, which has %d batches of %d images; was the checkpoint made from other data or another batch_size?",
			c.Position, c.Epoch, l.Batches(), l.cfg.BatchSize)
	}
	l.startEpoch(c.Epoch)
	l.cursor = c
	return nil
}

// reset makes room for rows images of which n are there.
func (b *Batch) reset(x *Images, rows, n int) {
	b.N = n
	b.Pixels = data.Resized(b.Pixels, rows*x.Channels*x.Height*x.Width)
	b.Labels, b.Index = data.Resized(b.Labels, rows), data.Resized(b.Index, rows)
	clear(b.Pixels[n*len(b.Pixels)/rows:])
	for i := range rows {
		b.Labels[i], b.Index[i] = data.IgnoredTarget, -1
	}
}

// EvalSet is a fixed list of evaluation batches. It depends on nothing but the images and what it was made from, so a
// checkpoint evaluates to the same digits each time.
type EvalSet struct {
	images    *Images
	norm      Normalisation
	batchSize int
	take      int
	corrupt   *Corruption
	scratch   []uint8
}

// EvalBatches selects limit images spread evenly over the list, since files are sorted by class, or all when limit is 0 or
// more than there are. corrupt, if not nil, spoils each of them. A batch size below 1 and a negative limit are programmer's
// errors and panic.
func EvalBatches(images *Images, norm Normalisation, batchSize, limit int, corrupt *Corruption) *EvalSet {
	if batchSize < 1 || limit < 0 {
		panic(fmt.Sprintf("data: EvalBatches: batch size %d, limit %d; want at least 1, 0", batchSize, limit))
	}
	take := images.Len()
	if limit > 0 {
		take = min(take, limit)
	}
	return &EvalSet{images: images, norm: norm, batchSize: batchSize, take: take, corrupt: corrupt}
}

// Len returns the number of images over all batches.
func (s *EvalSet) Len() int { return s.take }

// Batches returns the number of batches.
func (s *EvalSet) Batches() int { return (s.take + s.batchSize - 1) / s.batchSize }

// Batch sets batch to batch i. A wrong i panics. It is an error if an image cannot be spoilt.
func (s *EvalSet) Batch(i int, batch *Batch) error {
	if i < 0 || i >= s.Batches() {
		panic(fmt.Sprintf("data: EvalSet.Batch(%d), want a batch in [0, %d)", i, s.Batches()))
	}
	first := i * s.batchSize
	batch.reset(s.images, s.batchSize, min(s.batchSize, s.take-first))
	size := len(batch.Pixels) / s.batchSize
	for row := range batch.N {
		at := (first + row) * s.images.Len() / s.take
		pixels, label := s.images.At(at)
		batch.Index[row], batch.Labels[row] = at, label
		if s.corrupt != nil {
			s.scratch = data.Resized(s.scratch, len(pixels))
			if err := s.corrupt.apply(s.scratch, pixels, s.images, at); err != nil {
				return err
			}
			pixels = s.scratch
		}
		s.norm.Put(batch.Pixels[row*size:(row+1)*size], pixels)
	}
	return nil
}

// Put writes an image [C, H, W] as a network takes it, [H*W, C].
func (n Normalisation) Put(dst []float32, pixels []uint8) {
	c := len(n.Mean)
	plane := len(pixels) / c
	for ch := range c {
		mean, scale := n.Mean[ch], 1/n.Std[ch]
		for p, v := range pixels[ch*plane : (ch+1)*plane] {
			dst[p*c+ch] = float32((float64(v)/255 - mean) * scale)
		}
	}
}
