package ranking

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/recommender"
	"sparrow/nn"
	"sparrow/task"
)

// Stepped is the task of a network that trains by gradients.
type Stepped struct {
	*Task
	learner recommender.Learner
}

// Facts implements task.Task: what is counted are pairs of an item that was chosen and one that was drawn.
func (t *Stepped) Facts() task.Facts {
	f := t.Task.Facts()
	f.PerRow = t.learner.Samples().Negatives
	f.PerBatch *= f.PerRow
	return f
}

// Shapes implements task.Stepped: a row is a user with his item and those that are drawn.
func (t *Stepped) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: 1 + t.learner.Samples().Negatives}}
}

// Batches implements task.Stepped.
func (t *Stepped) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	if f.File != "" {
		return nil, task.Refusef("--file %s: a recommender learns from a split of its data", f.File)
	}
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	shape := t.Shapes(cmp.Or(f.Rows, t.cfg.Train.BatchSize))[0]
	p, err := f.Program(s, shape)
	if err != nil {
		return nil, err
	}
	from := &t.data.Train
	switch {
	case f.Split == task.Validation:
		from = &t.data.Validation
	case f.Split == task.Test:
		from = &t.data.Test
	}
	if len(from.Items) == 0 {
		return nil, task.Refusef("the %s split has no interactions", f.Split)
	}
	rows := make([]int32, len(from.Items)) // the user of each interaction
	for u := range from.Rows() {
		for i := from.Start[u]; i < from.Start[u+1]; i++ {
			rows[i] = int32(u)
		}
	}
	perEpoch := max(1, len(rows)/shape.Rows)
	n := 0
	if !f.Endless() {
		if n = perEpoch; f.Limit > 0 {
			n = min(n, max(1, f.Limit/(shape.Rows*(shape.Length-1))))
		}
	}
	order := &order{size: len(rows), perEpoch: perEpoch, seed: f.Seed, shuffled: f.Endless()}
	draw := t.sampler(s.Store())
	k := t.told()
	b := recommender.Batch{Users: make([]int32, shape.Rows), Items: make([]int32, shape.Rows*shape.Length), Seed: f.Seed}
	if from.Times != nil {
		b.Times = make([]int64, shape.Rows)
	}
	return &task.Feeder{N: n, Order: order, Fill: func(int) (*model.Program, int, error) {
		b.Step = uint64(order.at.Epoch)*uint64(perEpoch) + uint64(order.at.Position)
		for r := range shape.Rows {
			at := order.interaction(r, shape.Rows)
			b.Users[r], b.Items[r*shape.Length] = rows[at], from.Items[at]
			if b.Times != nil {
				b.Times[r] = from.Times[at]
			}
		}
		order.advance()
		draw(&b, shape.Length)
		t.learner.Feed(p, k, b)
		return p, shape.Rows * (shape.Length - 1), nil
	}}, nil
}

// order goes through the interactions, in each epoch by another permutation.
type order struct {
	at       data.Cursor
	size     int
	perEpoch int
	seed     uint64
	shuffled bool
	epoch    *data.Permutation
	of       int
}

// interaction is that of row r of the batch that comes.
func (o *order) interaction(r, rows int) int {
	at := (o.at.Position*rows + r) % o.size
	if !o.shuffled {
		return at
	}
	if o.epoch == nil || o.of != o.at.Epoch {
		o.epoch, o.of = data.NewPermutation(o.size, o.seed, "ranking/order", uint64(o.at.Epoch)), o.at.Epoch
	}
	return o.epoch.At(at)
}

func (o *order) advance() {
	if o.at.Position++; o.at.Position == o.perEpoch {
		o.at = data.Cursor{Epoch: o.at.Epoch + 1}
	}
}

// Cursor implements task.Order.
func (o *order) Cursor() data.Cursor { return o.at }

// Seek implements task.Order.
func (o *order) Seek(at data.Cursor) error {
	if at.Epoch < 0 || at.Position < 0 || at.Position >= o.perEpoch {
		return fmt.Errorf("ranking: batch %d of epoch %d; an epoch has %d", at.Position, at.Epoch, o.perEpoch)
	}
	o.at = at
	return nil
}

// tries is how often an item that a user has is drawn anew; of a user who has nearly all items the last one stays.
const tries = 64

// sampler draws items beside those that were chosen: only such as training has seen, so that no number of a new item is learned.
func (t *Stepped) sampler(s *nn.Store) func(b *recommender.Batch, width int) {
	how := t.learner.Samples()
	one := how.Drawer(t.train)
	hard, _ := t.learner.(recommender.Hard)
	return func(b *recommender.Batch, width int) {
		r := rng.New(b.Seed, "ranking/draws", b.Step)
		var pair func(user, item int32) float32
		if how.Hardest > 1 && hard != nil {
			pair = hard.Pair(s)
		}
		for row, user := range b.Users {
			for c := 1; c < width; c++ {
				var best int32
				var most float32
				for k := range how.Hardest {
					item := one(r, b)
					for n := 0; how.RejectSeen && n < tries && t.train.Has(int(user), item); n++ {
						item = one(r, b)
					}
					if pair == nil {
						best = item
						break
					}
					if x := pair(user, item); k == 0 || x > most {
						best, most = item, x
					}
				}
				b.Items[row*width+c] = best
			}
		}
	}
}

// Warn implements task.Warner: a chance that is learned and is the same for all pairs is a constant, which smoothed_bpo has for less.
func (t *Stepped) Warn(s *model.Session) string {
	doubting, ok := t.learner.(recommender.Doubting)
	if !ok {
		return ""
	}
	flips := doubting.Flips(s.Store())
	if flips == nil {
		return ""
	}
	const pairs, least = 4096, 1e-3
	r := rng.New(t.cfg.Seed, "ranking/flips", 0)
	var sum, squares float64
	for range pairs {
		x := flips(int32(r.Intn(t.train.Rows())), int32(r.Intn(t.train.Columns)))
		sum += x
		squares += x * x
	}
	mean := sum / pairs
	if deviation := math.Sqrt(max(0, squares/pairs-mean*mean)); deviation < least {
		return fmt.Sprintf("the learned chance that an item which was not chosen is liked has collapsed: %.4f for all, with a standard deviation of %.2g; loss = \"smoothed_bpo\" with flip = %.2f is the same for less", mean, deviation, mean)
	}
	return ""
}
