package shard

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/group"
	"sparrow/internal/rng"
	"sparrow/nn"
	"sparrow/op"
)

// parameters makes a store of two, of which one has more values than a piece of work.
func parameters() *nn.Store {
	s := nn.NewStore(tensor.Float32)
	b := nn.NewBuilder(op.NewTape(s.Dtype, false), s, nn.Options{})
	b.Weight("a", nn.Constant(0), 3)
	b.Weight("b", nn.Constant(0), nn.GradientGrain+5)
	return s
}

// tree adds x as the text says: the first half and the second.
func tree(x []float32) float32 {
	if len(x) == 1 {
		return x[0]
	}
	return tree(x[:len(x)/2]) + tree(x[len(x)/2:])
}

// Of one to sixteen shards with two micro-batches each, over one to eight ranks and in two steps, every value is that of the tree, to the bit.
// A parameter that says it is ready and one that does not are both added.
func TestSumIsTheTreeOfItsShards(t *testing.T) {
	for _, shards := range []int{1, 2, 4, 8, 16} {
		for ranks := 1; ranks <= min(shards, 8); ranks *= 2 {
			groups, err := group.Together(ranks)
			if err != nil {
				t.Fatal(err)
			}
			var wait sync.WaitGroup
			failures := make([]error, ranks)
			for i, g := range groups {
				wait.Go(func() { failures[i] = add(shards, g) })
			}
			wait.Wait()
			if err := errors.Join(failures...); err != nil {
				t.Errorf("%d shards, %d ranks: %v", shards, ranks, err)
			}
		}
	}
}

// add makes two steps of a rank and checks their sums.
func add(shards int, g *group.Group) error {
	store := parameters()
	sum, err := New(store, shards, g)
	if err != nil {
		return err
	}
	for step := range 2 {
		values := map[string][][]float32{} // by parameter, of each shard
		sum.Begin()
		for shard := range shards {
			for micro := range 2 {
				if sum.Owns(shard) {
					sum.Micro(micro == 0, micro == 1)
				}
				for _, name := range store.Names() {
					x := make([]float32, store.Shape(name).TotalSize())
					rng.FillNormal(rng.New(uint64(step+1), name, uint64(2*shard+micro)<<32), x, 0, float64(shard%5+1))
					if micro == 0 {
						values[name] = append(values[name], x)
					} else {
						for i := range x {
							values[name][shard][i] += x[i]
						}
					}
					if !sum.Owns(shard) {
						continue
					}
					d, adds := sum.Gradient(name)
					for i, v := range x {
						if adds {
							v += d.Float32s()[i]
						}
						d.Float32s()[i] = v
					}
					if name == "b" {
						if err := sum.Ready(name); err != nil {
							return err
						}
					}
				}
			}
			if sum.Owns(shard) {
				if err := sum.Next(); err != nil {
					return err
				}
			}
		}
		total, err := sum.Total()
		if err != nil {
			return err
		}
		for name, all := range values {
			leaves := make([]float32, shards)
			for i, got := range total.Get(name).Float32s() {
				for s := range leaves {
					leaves[s] = all[s][i]
				}
				if want := tree(leaves); got != want {
					return fmt.Errorf("rank %d, step %d, %s[%d] is %g, want %g", g.Rank(), step, name, i, got, want)
				}
			}
		}
		if held := len(sum.spare) + len(sum.stack) + 1; held > Sets(shards/g.Size()) {
			return fmt.Errorf("%d sets of gradients; want at most %d", held, Sets(shards/g.Size()))
		}
	}
	return nil
}

func TestLossesAreATree(t *testing.T) {
	x := []float64{1e16, 1, -1e16, 1} // in a row their sum is 1: the first 1 is lost, the second is not
	if got, want := Tree(x), (x[0]+x[1])+(x[2]+x[3]); got != want || got == ((x[0]+x[1])+x[2])+x[3] {
		t.Errorf("%g, want %g", got, want)
	}
	if Sets(1) != 1 || Sets(8) != 4 {
		t.Errorf("%d sets of one shard, %d of eight", Sets(1), Sets(8))
	}
}
