package decode

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"sparrow/op"
)

// prefixes keeps keys and values of whole chunks of prompts, which another prompt that
// begins alike takes over: the same bits as if it computed them, since chunks are cut
// at fixed places. The least recently used go first.
type prefixes struct {
	limit, bytes int64
	size         int64                       // of a chunk; 0: not known yet
	kept         map[prefixKey]*list.Element // of *prefix
	recent       *list.List                  // the most recently used first
}

// prefixKey is the hash of all tokens up to the end of a chunk, and of what is added to values inside the network.
type prefixKey [sha256.Size]byte

// prefix is one chunk in each cache.
type prefix struct {
	key    prefixKey
	bytes  int64
	places []op.Places
}

func newPrefixes(limit int64) *prefixes {
	return &prefixes{limit: limit, kept: map[prefixKey]*list.Element{}, recent: list.New()}
}

func keyOf(tokens []int, steer []Addition) prefixKey {
	text := make([]byte, 0, 8*(len(tokens)+1))
	text = binary.LittleEndian.AppendUint64(text, uint64(len(tokens)))
	for _, id := range tokens {
		text = binary.LittleEndian.AppendUint64(text, uint64(id))
	}
	for _, a := range steer {
		text = binary.LittleEndian.AppendUint64(text, uint64(len(a.Site)))
		text = append(text, a.Site...)
		for _, x := range a.Vector {
			text = binary.LittleEndian.AppendUint32(text, math.Float32bits(x))
		}
	}
	return sha256.Sum256(text)
}

// keep copies the last n of the tokens that a slot begins with. The chunks that go leave it their memory, as all are of one size.
func (p *prefixes) keep(caches []*op.KVCache, slot int, tokens []int, steer []Addition, n int) {
	if p.limit == 0 || p.size > p.limit {
		return
	}
	x := &prefix{key: keyOf(tokens, steer)}
	if p.kept[x.key] != nil {
		return
	}
	for p.size > 0 && p.bytes > p.limit-p.size {
		last := p.recent.Remove(p.recent.Back()).(*prefix)
		delete(p.kept, last.key)
		p.bytes -= last.bytes
		x.places = last.places
	}
	if x.places == nil {
		x.places = make([]op.Places, len(caches))
	}
	for i, c := range caches {
		x.places[i] = c.PlacesIn(x.places[i], slot, len(tokens)-n, n)
		x.bytes += int64(x.places[i].Bytes())
	}
	if p.size = x.bytes; p.size > p.limit {
		return
	}
	p.kept[x.key] = p.recent.PushFront(x)
	p.bytes += x.bytes
}

// restore puts the last n of tokens into a slot that begins with the others, if they
// are kept.
func (p *prefixes) restore(caches []*op.KVCache, slot int, tokens []int, steer []Addition, n int) bool {
	if p.limit == 0 {
		return false
	}
	at := p.kept[keyOf(tokens, steer)]
	if at == nil {
		return false
	}
	p.recent.MoveToFront(at)
	for i, c := range caches {
		c.SetPlaces(slot, len(tokens)-n, n, at.Value.(*prefix).places[i])
	}
	return true
}
