package pairs

import (
	"fmt"

	"sparrow/data"
	"sparrow/internal/rng"
)

// order goes through the groups, in each epoch by another permutation and with other candidates. It is a function of seed and place.
type order struct {
	place    data.Cursor
	size     int
	rows     int
	perEpoch int
	seed     uint64

	epoch int // of shuffled
	of    *data.Permutation
}

func newOrder(size, rows int, seed uint64) *order {
	return &order{size: size, rows: rows, perEpoch: (size + rows - 1) / rows, seed: seed}
}

// at is the group of a row of the batch that comes, and what draws its candidates.
func (o *order) at(row int) (group int, draw func(n int) int) {
	if o.of == nil || o.epoch != o.place.Epoch {
		o.of, o.epoch = data.NewPermutation(o.size, o.seed, "pairs/order", uint64(o.place.Epoch)), o.place.Epoch
	}
	i := o.place.Position*o.rows + row
	r := rng.New(o.seed, "pairs/candidates", uint64(o.place.Epoch)<<40|uint64(i)<<10)
	return o.of.At(i % o.size), r.Intn
}

func (o *order) advance() {
	if o.place.Position++; o.place.Position == o.perEpoch {
		o.place = data.Cursor{Epoch: o.place.Epoch + 1}
	}
}

// Cursor implements task.Order.
func (o *order) Cursor() data.Cursor { return o.place }

// Seek implements task.Order.
func (o *order) Seek(at data.Cursor) error {
	if at.Epoch < 0 || at.Position < 0 || at.Position >= o.perEpoch {
		return fmt.Errorf("pairs: batch %d of epoch %d; an epoch has %d", at.Position, at.Epoch, o.perEpoch)
	}
	o.place = at
	return nil
}
