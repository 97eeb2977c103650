package group

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"sparrow/kernel"
)

// Group is the processes of a run. All ranks make the same calls in the same order. An error of one is the end of all: see [Group.Abort].
type Group struct {
	link  link
	queue chan request  // in order, so that messages meet
	done  chan struct{} // the goroutine that owns the link has ended
	spare []float32     // what a peer sends; grows
}

// link is a way to exchange messages of known length with another rank. One goroutine uses it.
type link interface {
	rank() int
	size() int
	swap(peer int, send, receive []byte) error // both at once
	abort(code int)                            // ends all processes; returns where that cannot be
	close() error
}

type request struct {
	work func() error
	done chan error
}

// Pending is a sum under way.
type Pending struct{ done chan error }

// Wait waits until the sum is there.
func (p Pending) Wait() error {
	if p.done == nil {
		return nil
	}
	return <-p.done
}

// Alone is a group of one.
func Alone() *Group { return &Group{} }

// over is a group whose messages go over a link. begin runs first, on the thread that uses the link, and makes it.
func over(begin func() (link, error)) (*Group, error) {
	g := &Group{queue: make(chan request, 64), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(g.done)
		l, err := begin()
		g.link = l
		ready <- err
		if err != nil {
			return
		}
		for r := range g.queue {
			r.done <- r.work()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	if n := g.Size(); n&(n-1) != 0 {
		return nil, fmt.Errorf("group: %d processes; want a power of two, so that each has a whole subtree of the shards", n)
	}
	return g, nil
}

// Rank is which process this is, from 0.
func (g *Group) Rank() int {
	if g == nil || g.link == nil {
		return 0
	}
	return g.link.rank()
}

// Size is how many processes there are.
func (g *Group) Size() int {
	if g == nil || g.link == nil {
		return 1
	}
	return g.link.size()
}

// start queues work on the link.
func (g *Group) start(work func() error) Pending {
	r := request{work, make(chan error, 1)}
	g.queue <- r
	return Pending{r.done}
}

// Start begins to add x over all ranks, in the tree's order, and leaves the sum in x on each. x is not touched until Wait has returned.
func (g *Group) Start(x []float32) Pending {
	if g.Size() == 1 || len(x) == 0 {
		return Pending{}
	}
	return g.start(func() error { return g.sum(x) })
}

// sum meets, in round i, the rank whose number differs in bit i alone: both then have the sum of a subtree of 2^(i+1) ranks.
// Addition has the same bits both ways round.
func (g *Group) sum(x []float32) error {
	if cap(g.spare) < len(x) {
		g.spare = make([]float32, len(x))
	}
	other := g.spare[:len(x)]
	for bit := 1; bit < g.Size(); bit <<= 1 {
		if err := g.link.swap(g.Rank()^bit, bytesOf(x), bytesOf(other)); err != nil {
			return err
		}
		kernel.Ranges(len(x), 1<<16, func(lo, hi int) { kernel.Axpy(1, other[lo:hi], x[lo:hi]) })
	}
	return nil
}

// Spread begins to give x of the rank root to all others, in place. x is not touched until Wait has returned.
func (g *Group) Spread(x []float32, root int) Pending {
	if g.Size() == 1 || len(x) == 0 {
		return Pending{}
	}
	return g.start(func() error { return g.spread(bytesOf(x), root) })
}

// spread doubles, in each round, the ranks that have x: those whose number differs from the root's in the bits so far.
func (g *Group) spread(x []byte, root int) error {
	at := g.Rank() ^ root
	for bit := 1; bit < g.Size(); bit <<= 1 {
		var err error
		switch {
		case at < bit:
			err = g.link.swap(g.Rank()^bit, x, nil)
		case at < 2*bit:
			err = g.link.swap(g.Rank()^bit, nil, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bytesOf are the bytes of numbers in this machine's order: all ranks have the same kind.
func bytesOf(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// Share gives each rank what all of them bring, by rank. Lengths may differ.
func (g *Group) Share(own []byte) ([][]byte, error) {
	if g.Size() == 1 {
		return [][]byte{own}, nil
	}
	all := make([][]byte, g.Size())
	all[g.Rank()] = own
	return all, g.start(func() error { return g.share(all) }).Wait()
}

// share gives, in round i, all parts that a rank has, those of its 2^i neighbours, for those of its peer.
func (g *Group) share(all [][]byte) error {
	for bit := 1; bit < len(all); bit <<= 1 {
		peer := g.Rank() ^ bit
		mine, theirs := g.Rank()&^(bit-1), peer&^(bit-1)
		lengths, other := make([]byte, 8*bit), make([]byte, 8*bit)
		var parts []byte
		for i := range bit {
			binary.LittleEndian.PutUint64(lengths[8*i:], uint64(len(all[mine+i])))
			parts = append(parts, all[mine+i]...)
		}
		if err := g.link.swap(peer, lengths, other); err != nil {
			return err
		}
		total := 0
		for i := range bit {
			n := int(binary.LittleEndian.Uint64(other[8*i:]))
			if n < 0 || n > maxShare-total {
				return fmt.Errorf("group: rank %d brings %d bytes; want at most %d in all", theirs+i, n, maxShare)
			}
			total += n
		}
		got := make([]byte, total)
		if err := g.link.swap(peer, parts, got); err != nil {
			return err
		}
		for i := range bit {
			n := int(binary.LittleEndian.Uint64(other[8*i:]))
			all[theirs+i], got = got[:n:n], got[n:]
		}
	}
	return nil
}

// maxShare is the most that Share carries.
const maxShare = 1 << 30

// Abort ends all processes with that code, of which others cannot be told otherwise. In a group of one it returns.
func (g *Group) Abort(code int) {
	if g.Size() > 1 {
		g.link.abort(code)
	}
}

// Close waits for the other ranks to close, and gives the link back. It is the last call.
func (g *Group) Close() error {
	if g == nil || g.queue == nil {
		return nil
	}
	err := g.start(g.link.close).Wait()
	close(g.queue)
	<-g.done
	return err
}
