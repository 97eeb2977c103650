package main

import (
	"fmt"

	"sparrow/internal/measure"
	"sparrow/nn"
)

// A compressed decoder is that of decode-b whose blocks' linear layers, 25 million weights, have another form.
const (
	lowRankShare = 0.5 // of a layer's weights that its factors keep
	pieceWidth   = 16  // of dense times sparse: the recipe that beat low rank at equal bytes
	pieceAtoms   = 64
	// pieceTenths are the atoms of a piece, times 10, in the mean: with 4 bytes a value and 6 bits an index, 2.85 times
	// fewer bytes than dense layers have.
	pieceTenths = 47
)

// quantizedLayers are dense layers that stay in few bits, in blocks of the default size.
func quantizedLayers(form string, shapes []layerShape) (all []nn.Rule) {
	for _, s := range shapes {
		all = append(all, nn.Rule{Match: s.match, OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: form}})
	}
	return all
}

// lowRankLayers are as many factors as a share of the weights of these layers, [out, in] by pattern.
func lowRankLayers(share float64, shapes []layerShape) (all []nn.Rule) {
	for _, s := range shapes {
		all = append(all, nn.Rule{Match: s.match, OneOf: nn.As(nn.LowRank{Rank: int(share * float64(s.out*s.in) / float64(s.out+s.in)), UpInit: "uniform"})})
	}
	return all
}

// denseSparseLayers are the same layers as sums of atoms of a dictionary that each has for itself.
func denseSparseLayers(tenths int, axis string, shapes []layerShape) (all []nn.Rule) {
	for _, s := range shapes {
		side := s.in
		if axis == "out" {
			side = s.out
		}
		var nonzeros []int
		for g := range side / pieceWidth {
			nonzeros = append(nonzeros, (g+1)*tenths/10-g*tenths/10)
		}
		all = append(all, nn.Rule{Match: s.match, OneOf: nn.As(nn.DenseSparse{Block: pieceWidth, Atoms: pieceAtoms, Nonzeros: nonzeros, Axis: axis, Shared: true})})
	}
	return all
}

// layerShape is the size of the layers that match a pattern.
type layerShape struct {
	match   string
	out, in int
}

// blockShapes are the linear layers of a decoder's blocks; later ones win.
func (c config) blockShapes() []layerShape {
	return []layerShape{
		{"model.layers.*", c.DModel, c.DModel}, {"*.gate_proj", c.DFF, c.DModel}, {"*.up_proj", c.DFF, c.DModel}, {"*.down_proj", c.DModel, c.DFF},
	}
}

// decodeCompressed measures greedy decoding of one sequence by a decoder with compressed layers against the same with
// dense ones, both ours. The values are random: only their number counts.
func (b *bench) decodeCompressed(name string) error {
	c := networks["decode-b"]
	dense, err := b.dense()
	if err != nil {
		return err
	}
	defer dense.end()
	m := *b
	m.peer = dense
	before, err := m.loadDecoder(dense, c)
	if err != nil {
		return err
	}
	for _, form := range []struct {
		name   string
		linear []nn.Rule
	}{
		{"low-rank", lowRankLayers(lowRankShare, c.blockShapes())},
		{"dense-sparse", denseSparseLayers(pieceTenths, "in", c.blockShapes())},
		{"dense-sparse-out", denseSparseLayers(pieceTenths, "out", c.blockShapes())},
		{"int8", quantizedLayers("int8", c.blockShapes())},
		{"int4", quantizedLayers("int4", c.blockShapes())},
	} {
		c := c
		c.Linear = form.linear
		after, err := m.loadDecoder(m.ours, c)
		if err != nil {
			return err
		}
		const prompt, length = 16, 112
		ours, peer, err := m.alternate(b.rounds, request{"cmd": "decode", "prompt": make([]int, prompt), "tokens": length})
		if err != nil {
			return err
		}
		out := m.result(name+"/"+form.name, "s", measure.Median(ours), measure.Median(peer))
		out.Note = fmt.Sprintf("%.1f tokens/s, %.2f times those of dense layers of %.2f times the bytes", 1/out.Ours, *out.Peer/out.Ours, before/after)
		b.emit(out)
	}
	return nil
}

// dense starts another process of ours, whose layers are dense.
func (b *bench) dense() (*side, error) {
	s, err := startOurs(b.threads)
	if err != nil {
		return nil, err
	}
	s.name, s.blas = "dense layers", "sparrow's own"
	return s, nil
}

// loadDecoder makes a side hold a network and returns the bytes of its blocks' linear layers, indices counted.
func (b *bench) loadDecoder(s *side, c config) (float64, error) {
	tokens := make([]int, c.SeqLen)
	if _, err := s.ask(request{"cmd": "load", "config": c, "threads": b.threads, "inputs": tokens, "targets": tokens}); err != nil {
		return 0, err
	}
	a, err := s.ask(request{"cmd": "layers"})
	return a.Bytes, err
}

// layerBytes counts the blocks' linear layers of the worker's network as a checkpoint stores them.
func (w *worker) layerBytes() (n int) {
	store := w.session.Store()
	for _, name := range store.Layers() {
		if l := store.Layer(name); name != "lm_head" {
			n += l.StoredBytes(store.Dtype)
		}
	}
	return n
}
