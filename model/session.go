package model

import (
	"fmt"
	"slices"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Options are what a session needs beside the network's config.
type Options struct {
	Seed   uint64                 // of initial values and dropout
	Sink   op.Sink                // receives gradients; nil: a session that does not train
	Frozen func(name string) bool // parameters that do not train; nil: none
	Tapped func(name string) bool // activations to keep for Program.Tap; nil: none

	Straight *nn.StraightThrough // latent values that get gradients in training; nil: none
	Distill  *Distill            // a teacher's part in the loss of training, which Program.Teach must be called for; nil: none
	Scores   bool                // scoring programs keep their logits, as a teacher's must; a classifier's always do

	// Packed keeps weights that a checkpoint holds in few bits in those bits, see nn.Store; the session does not train.
	Packed bool

	// Int8Cache keeps keys and values of decoding in 8 bits an element.
	Int8Cache bool

	// Poison fills memory with NaN as soon as its value is dead, so that a test
	// sees a read after the end of life. It costs time.
	Poison bool
}

// Session runs one network: it owns its programs, the memory that they share and
// the key/value cache. A session belongs to one goroutine; several may share a
// store that none of them trains.
type Session struct {
	cfg   Config
	dims  Dims
	store *nn.Store
	opts  Options
	arena op.Arena

	programs map[programKey]*Program
	recent   []programKey // least recently used first

	cache      []*op.KVCache // one a layer, of cacheBatch sequences
	cacheBatch int
	capacity   int // tokens a sequence that the cache holds
}

type programKey struct {
	mode          mode
	batch, seqLen int
}

// maxPrograms bounds how many graphs a session keeps: of texts in buckets, one a
// length for training and one for scoring.
const maxPrograms = 12

// NewSession prepares to run the network of a config over the parameters of a
// store, which it completes by initial values if it is empty or misses some. A
// config that no network can have is an error that matches configs.ErrConfig.
func NewSession(cfg Config, dims Dims, store *nn.Store, opts Options) (*Session, error) {
	if err := dims.Validate(); err != nil {
		return nil, err
	}
	if opts.Packed && opts.Sink != nil {
		return nil, fmt.Errorf("model: a session whose weights stay in few bits cannot train: want Options.Packed or a Sink")
	}
	store.Packed = store.Packed || opts.Packed
	table := struct {
		Model Config `toml:"model"`
	}{cfg}
	if err := configs.Validate("model", &table); err != nil {
		return nil, err
	}
	if err := cfg.check(dims); err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, dims: dims, store: store, opts: opts, programs: map[programKey]*Program{}}
	shortest := 1
	if dims.ImageSize > 0 {
		shortest = dims.Context
	}
	_, err := s.program(scoring, 1, shortest) // creates the parameters and finds mistakes early
	return s, err
}

// Store returns the session's parameters.
func (s *Session) Store() *nn.Store { return s.store }

// Config returns the network's config.
func (s *Session) Config() Config { return s.cfg }

// Dims returns the sizes that follow from the data.
func (s *Session) Dims() Dims { return s.dims }

// Train returns the program that computes loss and gradients of batch sequences
// of seqLen tokens, or of batch images of Dims.Context pixels.
func (s *Session) Train(batch, seqLen int) (*Program, error) {
	if s.opts.Sink == nil {
		return nil, fmt.Errorf("model: a session without a sink for gradients cannot train")
	}
	return s.program(training, batch, seqLen)
}

// Score returns the program that computes the loss of batch sequences or images.
func (s *Session) Score(batch, seqLen int) (*Program, error) {
	return s.program(scoring, batch, seqLen)
}

func (s *Session) program(m mode, batch, seqLen int) (*Program, error) {
	if m != decoding && seqLen > s.dims.Context {
		return nil, fmt.Errorf("model: sequences of %d tokens; the network's context is %d", seqLen, s.dims.Context)
	}
	if n := s.dims.Context; s.dims.ImageSize > 0 && seqLen != n {
		return nil, fmt.Errorf("model: images of %d pixels; the network's have %d", seqLen, n)
	}
	key := programKey{m, batch, seqLen}
	if p := s.programs[key]; p != nil {
		s.touch(key)
		return p, nil
	}
	p, err := s.build(m, batch, seqLen)
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

// reserve makes room in the cache for batch sequences of up to capacity tokens
// and empties it.
func (s *Session) reserve(batch, capacity int) error {
	if err := s.checkCapacity(capacity); err != nil {
		return err
	}
	if batch == s.cacheBatch && capacity <= s.capacity {
		return nil
	}
	s.recent = slices.DeleteFunc(s.recent, func(key programKey) bool {
		if key.mode == decoding {
			delete(s.programs, key) // it reads the cache that is about to go
		}
		return key.mode == decoding
	})
	s.cacheBatch, s.capacity = batch, capacity
	if s.cfg.Positions == "learned" {
		s.capacity = s.dims.Context
	}
	s.cache = nil // first, so that the old one can go
	s.cache = s.cfg.Attention.NewCaches(s.cfg.NLayer, s.cfg.DModel, s.store.Dtype, batch, s.capacity, s.cfg.Positions == "rotary", s.opts.Int8Cache)
	return nil
}

// checkCapacity refuses sequences for which there are no positions.
func (s *Session) checkCapacity(capacity int) error {
	if s.cfg.Positions == "learned" && capacity > s.dims.Context {
		return fmt.Errorf("model: %d tokens; learned positions end at %d: ask for fewer tokens or shorten the prompt", capacity, s.dims.Context)
	}
	return nil
}

// CacheBytesPerToken is what the cache stores of one token in all layers.
func (s *Session) CacheBytesPerToken() int {
	return s.cfg.NLayer * s.cfg.Attention.CacheBytesPerToken(s.cfg.DModel, s.store.Dtype, s.opts.Int8Cache)
}

// AttentionCost is what a decoder's attention holds and does.
type AttentionCost struct {
	Kind            string  `json:"kind"`
	Weights         int     `json:"weights"`           // of the matrices of all layers, as dense ones
	CacheBytes      int     `json:"cache_bytes"`       // of a token in one layer
	CacheBytesTotal int     `json:"cache_bytes_total"` // of a token in all layers
	FLOPsPerByte    float64 `json:"flops_per_byte"`    // of the cache, that decoding a token computes: its arithmetic intensity
}

// AttentionCost of the session's network, nil if it does not decode.
func (s *Session) AttentionCost() *AttentionCost {
	if s.cfg.Kind != "decoder" {
		return nil
	}
	a, d := s.cfg.Attention, s.cfg.DModel
	c := AttentionCost{
		Kind: a.Kind, Weights: s.cfg.NLayer * int(a.Parameters(d)), CacheBytes: a.CacheBytesPerToken(d, s.store.Dtype, s.opts.Int8Cache),
		CacheBytesTotal: s.CacheBytesPerToken(),
	}
	c.FLOPsPerByte = a.DecodeFLOPs(d, 1) / float64(c.CacheBytes)
	return &c
}

// String is the cost in two lines, for people.
func (c AttentionCost) String() string {
	return fmt.Sprintf("attention   %s, %d weights, %.3g FLOPs a byte of cache\ncache       %d bytes a token, %d a layer",
		c.Kind, c.Weights, c.FLOPsPerByte, c.CacheBytesTotal, c.CacheBytes)
}
