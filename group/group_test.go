package group

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sparrow/internal/rng"
)

// each runs f on every rank of a group of n.
func each(t *testing.T, n int, f func(g *Group) error) {
	t.Helper()
	groups, err := Together(n)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	failures := make([]error, n)
	for i, g := range groups {
		wait.Go(func() { failures[i] = f(g) })
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
}

// The sum is that of the tree (0+1)+(2+3), whose bits differ from those of a sum in a row, on every rank.
func TestSumIsATree(t *testing.T) {
	const size = 200_003 // more than one range of the kernel
	for _, n := range []int{1, 2, 4, 8} {
		parts := make([][]float32, n)
		for i := range parts {
			parts[i] = make([]float32, size)
			rng.FillNormal(rng.New(uint64(i+1), "group/test", 0), parts[i], 0, float64(int(1)<<(3*i)))
		}
		level := make([][]float32, n)
		for i := range level {
			level[i] = append([]float32(nil), parts[i]...)
		}
		inRow := append([]float32(nil), parts[0]...)
		for _, p := range parts[1:] {
			for k := range inRow {
				inRow[k] += p[k]
			}
		}
		for len(level) > 1 {
			for i := 0; i < len(level); i += 2 {
				for k := range level[i] {
					level[i][k] += level[i+1][k]
				}
				level[i/2] = level[i]
			}
			level = level[:len(level)/2]
		}
		differ := 0
		each(t, n, func(g *Group) error {
			own := parts[g.Rank()]
			first, rest := g.Start(own[:7]), g.Start(own[7:]) // two under way
			if err := errors.Join(first.Wait(), rest.Wait()); err != nil {
				return err
			}
			for k := range own {
				if own[k] != level[0][k] {
					return fmt.Errorf("rank %d of %d: element %d is %g, want %g", g.Rank(), n, k, own[k], level[0][k])
				}
				if g.Rank() == 0 && own[k] != inRow[k] {
					differ++
				}
			}
			return g.Close()
		})
		if n >= 4 && differ == 0 {
			t.Errorf("%d ranks: a sum in a row has the same bits: the test says nothing of the order", n)
		}
	}
}

func TestShareKeepsRanks(t *testing.T) {
	for _, n := range []int{1, 2, 4, 8} {
		each(t, n, func(g *Group) error {
			for round := range 3 {
				all, err := g.Share(bytes.Repeat([]byte{byte('a' + g.Rank())}, g.Rank()*(round+1)))
				if err != nil {
					return err
				}
				for r, got := range all {
					if want := strings.Repeat(string(rune('a'+r)), r*(round+1)); string(got) != want {
						return fmt.Errorf("rank %d has %q of rank %d, want %q", g.Rank(), got, r, want)
					}
				}
			}
			return g.Close()
		})
	}
}

func TestSpreadReachesAll(t *testing.T) {
	for _, n := range []int{1, 2, 4, 8} {
		each(t, n, func(g *Group) error {
			for root := range n {
				x := make([]float32, 1000)
				for i := range x {
					x[i] = float32(1000*g.Rank() + i)
				}
				if err := g.Spread(x, root).Wait(); err != nil {
					return err
				}
				if x[0] != float32(1000*root) || x[999] != float32(1000*root+999) {
					return fmt.Errorf("rank %d of %d has %g from rank %d", g.Rank(), n, x[0], root)
				}
			}
			return g.Close()
		})
	}
}

// A rank that ends takes the others out of what they wait for.
func TestAbortEndsAll(t *testing.T) {
	each(t, 4, func(g *Group) error {
		if g.Rank() == 2 {
			g.Abort(1)
			return nil
		}
		if err := g.Start(make([]float32, 10)).Wait(); err == nil {
			_, err = g.Share(nil)
			if err == nil {
				return fmt.Errorf("rank %d goes on without rank 2", g.Rank())
			}
		}
		return nil
	})
}

func TestSizes(t *testing.T) {
	if _, err := Together(3); err == nil || !strings.Contains(err.Error(), "3 processes; want a power of two") {
		t.Error(err)
	}
	if g := Alone(); g.Size() != 1 || g.Rank() != 0 || g.Start([]float32{1}).Wait() != nil || g.Close() != nil {
		t.Error("a group of one does not stand alone")
	}
	t.Setenv("OMPI_COMM_WORLD_SIZE", "4")
	t.Setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "2")
	if launched() != 4 || Neighbours() != 2 {
		t.Errorf("%d processes, %d here", launched(), Neighbours())
	}
}
