package llama2c

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"sparrow/checkpoints/foreign"
)

// Config is a file's header.
type Config struct {
	Version   int // 0 for the legacy format
	DModel    int
	DHidden   int // of the feed-forward layers
	NLayer    int
	NHead     int
	NKVHead   int
	VocabSize int
	SeqLen    int  // the longest sequence
	Tied      bool // the embedding is the output too; there is no output.weight then
	Group     int  // values that share a scale, in version 2
}

// File is an open model. Its tensors have the names that llama2.c's PyTorch model gives them.
type File struct {
	*foreign.Set
	Config Config
}

// Open maps a file. Errors match [foreign.ErrFile].
func Open(path string) (*File, error) {
	f := &File{}
	set, err := foreign.Open(path, func(data []byte) (*foreign.Set, error) {
		parsed, err := Parse(data)
		if err != nil {
			return nil, err
		}
		f.Config = parsed.Config
		return parsed.Set, nil
	})
	if err != nil {
		return nil, err
	}
	f.Set = set
	return f, nil
}

const (
	magic      = 0x616b3432 // "ak42"
	headerSize = 256        // of version 1 and later
	legacySize = 7 * 4
)

// Parse reads a whole file that lies in memory; the tensors share it, but those of version 2, which are repacked.
func Parse(data []byte) (*File, error) {
	c, rest, err := header(data)
	if err != nil {
		return nil, err
	}
	p := &parts{Config: c, data: rest}
	switch c.Version {
	case 0:
		p.legacy()
	case 1:
		p.version1()
	case 2:
		p.version2()
	}
	if p.err == nil && len(p.data) != 0 {
		p.err = fmt.Errorf("has %d bytes more than its header says", len(p.data))
	}
	if p.err != nil {
		return nil, p.err
	}
	set, err := foreign.NewSet(p.tensors, nil)
	if err != nil {
		return nil, err
	}
	return &File{Set: set, Config: c}, nil
}

var le = binary.LittleEndian

func header(data []byte) (c Config, rest []byte, err error) {
	ints := data
	if len(data) >= 4 && le.Uint32(data) == magic {
		if len(data) < headerSize {
			return c, nil, fmt.Errorf("has %d bytes; its header alone has %d", len(data), headerSize)
		}
		c.Version = int(int32(le.Uint32(data[4:])))
		if c.Version != 1 && c.Version != 2 {
			return c, nil, fmt.Errorf("has version %d of llama2.c's format; want 1 or 2", c.Version)
		}
		ints, rest = data[8:], data[headerSize:]
		c.Tied = data[8+legacySize] != 0
		if c.Version == 2 {
			c.Group = int(int32(le.Uint32(data[8+legacySize+1:])))
		}
	} else {
		if len(data) < legacySize {
			return c, nil, fmt.Errorf("has %d bytes; a header has %d", len(data), legacySize)
		}
		rest = data[legacySize:]
	}
	for i, to := range []*int{&c.DModel, &c.DHidden, &c.NLayer, &c.NHead, &c.NKVHead, &c.VocabSize, &c.SeqLen} {
		*to = int(int32(le.Uint32(ints[4*i:])))
	}
	if c.Version == 0 { // a negative size of the vocabulary says that the output has weights of its own
		c.Tied = c.VocabSize > 0
		c.VocabSize = max(c.VocabSize, -c.VocabSize)
	}
	return c, rest, c.check()
}

func (c Config) check() error {
	for _, n := range []int{c.DModel, c.DHidden, c.NLayer, c.NHead, c.NKVHead, c.VocabSize, c.SeqLen} {
		if n <= 0 || n > math.MaxInt32 {
			return fmt.Errorf("is not a file of llama2.c: its header would mean width %d, hidden width %d, %d layers, %d heads, %d key heads, a vocabulary of %d, length %d",
				c.DModel, c.DHidden, c.NLayer, c.NHead, c.NKVHead, c.VocabSize, c.SeqLen)
		}
	}
	if c.DModel%c.NHead != 0 || c.NHead%c.NKVHead != 0 || c.DModel/c.NHead%2 != 0 {
		return fmt.Errorf("has the width %d, %d heads and %d key heads, which don't divide evenly", c.DModel, c.NHead, c.NKVHead)
	}
	if c.Version == 2 && (c.Group <= 0 || c.Group > 1<<16) {
		return fmt.Errorf("has groups of %d values", c.Group)
	}
	return nil
}

// parts takes tensors from a file one after the other; the first error stays.
type parts struct {
	Config
	data    []byte
	tensors []foreign.Tensor
	err     error
}

// The shapes of a layer's weights, and their names in the order of the legacy format, V vocabulary, D width, H hidden,
// K width of keys and values.
func (p *parts) kv() int { return p.NKVHead * (p.DModel / p.NHead) }

type weight struct {
	name  string
	shape []int
}

func (p *parts) attention() []weight {
	d := p.DModel
	return []weight{
		{"attention.wq", []int{d, d}},
		{"attention.wk", []int{p.kv(), d}},
		{"attention.wv", []int{p.kv(), d}},
		{"attention.wo", []int{d, d}},
	}
}

func (p *parts) feedForward() []weight {
	return []weight{
		{"feed_forward.w1", []int{p.DHidden, p.DModel}},
		{"feed_forward.w2", []int{p.DModel, p.DHidden}},
		{"feed_forward.w3", []int{p.DHidden, p.DModel}},
	}
}

func (p *parts) embedding() weight     { return weight{"tok_embeddings", []int{p.VocabSize, p.DModel}} }
func (p *parts) output() weight        { return weight{"output", []int{p.VocabSize, p.DModel}} }
func (p *parts) norm() weight          { return weight{"norm", []int{p.DModel}} }
func (p *parts) attentionNorm() weight { return weight{"attention_norm", []int{p.DModel}} }
func (p *parts) hiddenNorm() weight    { return weight{"ffn_norm", []int{p.DModel}} }

// legacy has the rotary tables too, which follow from the header.
func (p *parts) legacy() {
	p.one(p.embedding())
	p.layers(p.attentionNorm())
	p.layers(p.attention()...)
	p.layers(p.hiddenNorm())
	p.layers(p.feedForward()...)
	p.one(p.norm())
	p.bytes([]int{2, p.SeqLen, p.DModel / p.NHead / 2})
	if !p.Tied {
		p.one(p.output())
	}
}

func (p *parts) norms() {
	p.layers(p.attentionNorm(), p.hiddenNorm())
	p.one(p.norm())
}

func (p *parts) version1() {
	p.norms()
	p.one(p.embedding())
	p.layers(p.attention()...)
	p.layers(p.feedForward()...)
	if !p.Tied {
		p.one(p.output())
	}
}

// version2 has its matrices in 8 bits: the codes of one and then a scale for each group of them.
func (p *parts) version2() {
	p.norms()
	p.grouped(p.embedding().name, p.embedding().shape)
	for _, w := range append(p.attention(), p.feedForward()...) {
		for i := 0; i < p.NLayer && p.err == nil; i++ {
			p.grouped(inLayer(i, w.name), w.shape)
		}
	}
	if !p.Tied {
		p.grouped(p.output().name, p.output().shape)
	}
}

func inLayer(i int, name string) string { return fmt.Sprintf("layers.%d.%s", i, name) }

func (p *parts) one(w weight) { p.add(w.name, w.shape, p.bytes(w.shape)) }

// layers takes weights of which each lies there for all layers.
func (p *parts) layers(weights ...weight) {
	for _, w := range weights {
		all := p.bytes(append([]int{p.NLayer}, w.shape...))
		if p.err != nil {
			return
		}
		size := len(all) / p.NLayer
		for i := range p.NLayer {
			p.add(inLayer(i, w.name), w.shape, all[i*size:(i+1)*size])
		}
	}
}

// bytes takes what float32 values of a shape have.
func (p *parts) bytes(shape []int) []byte {
	n, err := foreign.F32.Bytes(shape)
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("header: a weight %w", err)
	}
	return p.take(n)
}

func (p *parts) take(n int) []byte {
	if p.err == nil && n > len(p.data) {
		p.err = errors.New("has fewer bytes than its header says")
	}
	if p.err != nil {
		return nil
	}
	b := p.data[:n:n]
	p.data = p.data[n:]
	return b
}

func (p *parts) add(name string, shape []int, data []byte) { p.addType(name, foreign.F32, shape, data) }

func (p *parts) addType(name string, dtype *foreign.Type, shape []int, data []byte) {
	if p.err != nil {
		return
	}
	t, err := foreign.NewTensor(name+".weight", dtype, shape, data)
	p.err = err
	p.tensors = append(p.tensors, t)
}

// grouped takes a matrix in 8 bits and puts each scale before its codes, as blocks are elsewhere.
func (p *parts) grouped(name string, shape []int) {
	if p.err == nil && shape[1]%p.Group != 0 {
		p.err = fmt.Errorf("has groups of %d values, which don't divide rows of %d", p.Group, shape[1])
	}
	n := 0
	if p.err == nil {
		n, p.err = foreign.I8.Bytes(shape)
	}
	codes := p.take(n)
	scales := p.take(n / p.Group * 4)
	if p.err != nil {
		return
	}
	blocks := make([]byte, 0, len(codes)+len(scales))
	for len(codes) > 0 {
		blocks = append(append(blocks, scales[:4]...), codes[:p.Group]...)
		codes, scales = codes[p.Group:], scales[4:]
	}
	p.addType(name, groupType(p.Group), shape, blocks)
}

// groupType is the type of blocks of n codes after a float32 scale.
func groupType(n int) *foreign.Type {
	return &foreign.Type{
		Name: fmt.Sprintf("I8 in groups of %d", n), Block: n, Size: 4 + n,
		Decode: func(dst []float32, src []byte) {
			for ; len(dst) > 0; dst, src = dst[n:], src[4+n:] {
				scale := math.Float32frombits(le.Uint32(src))
				for i, q := range src[4 : 4+n] {
					dst[i] = float32(int8(q)) * scale
				}
			}
		},
	}
}
