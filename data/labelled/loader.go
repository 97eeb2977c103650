package labelled

import (
	"fmt"
	"math"

	"sparrow/data"
)

// LoaderConfig says how a Loader makes batches.
type LoaderConfig struct {
	BatchSize int    // B, rows a batch, at least 1
	MaxLen    int    // longer examples are cut to their first MaxLen tokens; 0: none is
	Seed      uint64 // fixes the order; equal seeds give equal batches
}

// Loader hands out training batches: in each epoch every example once, in a pseudo-random order.
//
// Examples of similar length share a batch, which is padded to one of at most four lengths, those that cost the least
// padding over the whole split. In each epoch the examples of a length are shuffled and dealt into batches; those that fill
// no batch join the next longer length, so that an epoch has ceil(examples / B) batches, of which one may have empty rows;
// and the batches of all lengths are shuffled.
//
// The order is a function of (seed, epoch), so a Loader at a Cursor is the same whether it walked there or was put
// there. A Loader is for one goroutine.
type Loader struct {
	examples *Examples
	cfg      LoaderConfig
	buckets  []int
	members  [][]int32   // the examples of each bucket
	cursor   data.Cursor // Position counts the batches of this epoch

	// The current epoch's:
	dealt   []int32           // all examples, batch by batch before the batches are shuffled
	batches []dealtBatch      // in the order of dealt
	order   *data.Permutation // of batches
	queue   []int32           // scratch
}

// dealtBatch is a range of Loader.dealt and the length it is padded to.
type dealtBatch struct {
	start, end int32
	seqLen     int32
}

// NewLoader returns a Loader at the start of epoch 0. It fails when there are no examples or a size is out of
// range.
func NewLoader(examples *Examples, cfg LoaderConfig) (*Loader, error) {
	switch {
	case examples.Len() == 0:
		return nil, fmt.Errorf("data: loader: no examples, want at least 1")
	case cfg.BatchSize < 1 || cfg.BatchSize > math.MaxInt32:
		return nil, fmt.Errorf("data: loader: batch size %d, want at least 1", cfg.BatchSize)
	case cfg.MaxLen < 0:
		return nil, fmt.Errorf("data: loader: maximum length %d, want 0 (any) or more", cfg.MaxLen)
	}
	l := &Loader{examples: examples, cfg: cfg, dealt: make([]int32, 0, examples.Len())}
	l.buckets = examples.buckets(cfg.MaxLen)
	l.members = make([][]int32, len(l.buckets))
	for i := range examples.Len() {
		b := bucketOf(l.buckets, examples.Length(i))
		l.members[b] = append(l.members[b], int32(i))
	}
	l.startEpoch(0)
	return l, nil
}

// buckets returns the lengths to pad examples to; 0 is no limit.
func (x *Examples) buckets(maxLen int) []int {
	if maxLen == 0 {
		maxLen = math.MaxInt
	}
	lengths := make([]int, x.Len())
	for i := range lengths {
		lengths[i] = x.Length(i)
	}
	return bucketLengths(lengths, maxLen)
}

// SeqLens returns the lengths to which batches are padded, ascending.
func (l *Loader) SeqLens() []int { return append([]int(nil), l.buckets...) }

// Batches returns the number of batches of an epoch.
func (l *Loader) Batches() int {
	return (l.examples.Len() + l.cfg.BatchSize - 1) / l.cfg.BatchSize
}

// startEpoch deals the batches of an epoch.
func (l *Loader) startEpoch(epoch int) {
	size := l.cfg.BatchSize
	l.dealt, l.batches, l.queue = l.dealt[:0], l.batches[:0], l.queue[:0]
	for b, members := range l.members {
		l.queue = append(l.queue, members...) // behind those that filled no batch before
		n := len(l.queue)
		if n == 0 {
			continue
		}
		shuffle := data.NewPermutation(n, l.cfg.Seed, "data/examples", uint64(epoch)*maxBuckets+uint64(b))
		first := len(l.dealt)
		for i := range n {
			l.dealt = append(l.dealt, l.queue[shuffle.At(i)])
		}
		whole := n / size * size
		if b == len(l.members)-1 {
			whole = n
		}
		for start := 0; start < whole; start += size {
			l.batches = append(l.batches, dealtBatch{int32(first + start), int32(first + min(start+size, n)), int32(l.buckets[b])})
		}
		l.queue = append(l.queue[:0], l.dealt[first+whole:]...)
		l.dealt = l.dealt[:first+whole]
	}
	l.order = data.NewPermutation(len(l.batches), l.cfg.Seed, "data/batches", uint64(epoch))
	l.cursor = data.Cursor{Epoch: epoch}
}

// Next sets batch to the next one and moves the cursor. Its last rows may be empty in one batch of an epoch.
func (l *Loader) Next(batch *Batch) {
	if l.cursor.Position == len(l.batches) {
		l.startEpoch(l.cursor.Epoch + 1)
	}
	b := l.batches[l.order.At(l.cursor.Position)]
	batch.fill(l.examples, l.dealt[b.start:b.end], l.cfg.BatchSize, int(b.seqLen))
	l.cursor.Position++
}

// Cursor returns the place of the next batch: Position counts batches of the epoch. Seek with it, in this process or
// another, continues with equal batches.
func (l *Loader) Cursor() data.Cursor { return l.cursor }

// Seek moves to a cursor that came from a Loader over the same examples with the same config. A cursor that no such
// loader can have is an error and moves nothing.
func (l *Loader) Seek(c data.Cursor) error {
	if c.Epoch < 0 || c.Position < 0 {
		return fmt.Errorf("data: loader: cursor at epoch %d, position %d, want neither negative", c.Epoch, c.Position)
	}
	if c.Position > len(l.batches) { // each epoch has as many
		return fmt.Errorf("data: loader: cursor at position %d of epoch %d, which has %d batches of %d examples; was the checkpoint made from other data or another batch_size?",
			c.Position, c.Epoch, len(l.batches), l.cfg.BatchSize)
	}
	if c.Epoch != l.cursor.Epoch {
		l.startEpoch(c.Epoch)
	}
	l.cursor = c
	return nil
}
