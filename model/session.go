package model

import (
	"errors"
	"slices"
	"strings"

	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/op"
)

// Options are what a session needs beside the network.
type Options struct {
	Seed   uint64                 // of initial values and dropout
	Linear []nn.Rule              // representation of linear layers by name; later entries win
	Words  nn.Table               // and of the words' embedding; nil: dense
	Sink   op.Sink                // receives gradients; nil: a session that does not train
	Frozen func(name string) bool // parameters that do not train; nil: none
	Sites  []string               // values inside the network that every program keeps; path.Match patterns

	// Precision is what products read in training; every other program reads values as they are.
	Precision kernel.Precision

	STF *nn.STF // latent values that get gradients in training; nil: none

	// Packed keeps weights that a checkpoint holds in few bits in those bits, see nn.Store; the session does not train.
	Packed bool
	// Int8 computes linear layers by products of integers of 8 bits, see nn.Store; the session does not train.
	Int8 bool

	Slots, Capacity int  // of the caches of decoding: sequences, and tokens of each; 0: 1
	Int8Cache       bool // keys and values in 8 bits an element

	// Poison fills memory with NaN as soon as its value is dead, so that a test
	// sees a read after the end of life. It costs time.
	Poison bool
}

// Session runs one network: it owns its programs, the memory that they share and
// the key/value caches. A session belongs to one goroutine; several may share a
// store that none of them trains.
type Session struct {
	network Network
	store   *nn.Store
	opts    Options
	arena   op.Arena

	programs map[programKey]*Program
	recent   []programKey // least recently used first

	caches     map[string]*op.KVCache
	cacheNames []string // in the order of their creation
}

type programKey struct {
	mode  Mode
	shape Shape
	sites string
}

// maxPrograms bounds how many graphs a session keeps: of texts in buckets, one a
// length for training and one for scoring; of sentences that become vectors, one for
// each of many shapes. One of a small encoder takes 0.2 MB and a millisecond to build.
const maxPrograms = 32

// Declare names the arrays, the layers and the shapes of a network in a store,
// without memory for them. [nn.Store.Fill] and NewSession give them their values.
func Declare(n Network, store *nn.Store, o Options) error {
	defer func(virtual bool) { store.Virtual = virtual }(store.Virtual)
	store.Virtual = true
	_, err := NewSession(n, store, o)
	return err
}

// NewSession prepares to run a network over the parameters of a store, which it
// completes by initial values where it is empty or misses some. A network that
// cannot be built is an error.
func NewSession(n Network, store *nn.Store, o Options) (*Session, error) {
	if o.Packed && o.Sink != nil {
		return nil, errors.New("model: a session whose weights stay in few bits cannot train: want Options.Packed or a Sink")
	}
	if o.Int8 && o.Sink != nil {
		return nil, errors.New("model: a session that computes in 8 bits cannot train: want Options.Int8 or a Sink")
	}
	if o.Packed && !store.Packed { // others may read a store that is complete
		store.Packed = true
	}
	if o.Int8 && !store.Int8 {
		store.Int8 = true
	}
	s := newSession(n, store, o)
	_, err := s.Program(Score, n.Least()) // creates the parameters and finds mistakes early
	return s, err
}

func newSession(n Network, store *nn.Store, o Options) *Session {
	return &Session{network: n, store: store, opts: o, programs: map[programKey]*Program{}, caches: map[string]*op.KVCache{}}
}

// Store returns the session's parameters.
func (s *Session) Store() *nn.Store { return s.store }

// Network returns what the session runs.
func (s *Session) Network() Network { return s.network }

// Slots are how many sequences the caches hold, and how many tokens of each.
func (s *Session) Slots() (slots, capacity int) {
	return max(1, s.opts.Slots), max(1, s.opts.Capacity)
}

// Another is a session of the same network and store, for another goroutine.
func (s *Session) Another() (*Session, error) { return NewSession(s.network, s.store, s.opts) }

// Decoding is a session of the same network and store whose caches hold that many
// sequences of up to capacity tokens.
func (s *Session) Decoding(slots, capacity int) *Session {
	o := s.opts
	o.Slots, o.Capacity, o.Sites = slots, capacity, nil
	return newSession(s.network, s.store, o)
}

// Program is the network for a mode and a shape, with some more sites to keep, which
// are path.Match patterns, or of [AddTo]; one that matches none is an [ErrNoSite].
func (s *Session) Program(m Mode, shape Shape, sites ...string) (*Program, error) {
	if m == Train && s.opts.Sink == nil {
		return nil, errors.New("model: a session without a sink for gradients cannot train")
	}
	sites = append(slices.Clone(s.opts.Sites), sites...)
	key := programKey{m, shape, strings.Join(sites, "\n")}
	if p := s.programs[key]; p != nil {
		s.touch(key)
		return p, nil
	}
	p, err := s.build(m, shape, sites)
	if err != nil {
		return nil, err
	}
	if len(s.recent) == maxPrograms {
		delete(s.programs, s.recent[0])
		s.recent = s.recent[1:]
	}
	s.programs[key] = p
	s.recent = append(s.recent, key)
	return p, nil
}

// touch makes key the most recently used.
func (s *Session) touch(key programKey) {
	for i, k := range s.recent {
		if k == key {
			s.recent = append(append(s.recent[:i:i], s.recent[i+1:]...), key)
			return
		}
	}
}

// cache makes the cache of that name, or returns it.
func (s *Session) cache(name string, layout op.CacheLayout) *op.KVCache {
	if s.caches[name] == nil {
		slots, capacity := s.Slots()
		layout.Int8 = s.opts.Int8Cache
		s.caches[name] = op.NewKVCache(s.store.Dtype, slots, capacity, layout)
		s.cacheNames = append(s.cacheNames, name)
	}
	return s.caches[name]
}

// Caches are those that the network's programs have asked for so far.
func (s *Session) Caches() []*op.KVCache {
	var all []*op.KVCache
	for _, name := range s.cacheNames {
		all = append(all, s.caches[name])
	}
	return all
}

// CacheBytesPerToken is what the caches store of one token in all layers; 0 of a
// network that has none.
func (s *Session) CacheBytesPerToken() (int, error) {
	probe := newSession(s.network, s.store, s.opts)
	probe.opts.Slots, probe.opts.Capacity, probe.opts.Sites = 1, 1, nil
	if _, err := probe.Program(Infer, s.network.Least()); err != nil {
		return 0, err
	}
	n := 0
	for _, c := range probe.Caches() {
		n += c.Bytes(s.store.Dtype)
	}
	return n, nil
}
