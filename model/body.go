package model

import "sparrow/configs"

// MaxLayers bounds the blocks of a body: building a graph takes time that grows with the
// square of its size, 0.3 s at 100 blocks and 3.4 s at 800.
const MaxLayers = 1000

// TokenTypes is how many texts one sequence may consist of, of bodies that tell them apart, unless their config says otherwise.
const TokenTypes = 2

// Body is what a network is made of but for its head: its config and what it builds. What it
// gives decides what it is for: a [Sequence], a [Reader], a [Viewer]. A body may answer more
// questions, by the interfaces that follow.
type Body interface {
	// Validate reports values that no such body can have.
	Validate(r *configs.Report)
	// Layout says in a few words how large it is.
	Layout() string
	// Blocks is how many blocks it has; 0 if it is not made of blocks.
	Blocks() int
}

// Worded is a body with a vector for each token.
type Worded interface {
	// WordEmbedding is the name of their parameter, [V, width].
	WordEmbedding() string
	// PerWord are the names of all parameters that have a row for each token, as far as the network has them, the embedding first.
	PerWord() []string
}

// Typed is a body that tells apart the texts that a sequence consists of.
type Typed interface {
	// Types is how many there may be; 0: it does not.
	Types() int
}

// Padded is a body whose config may say how many rows its words have.
type Padded interface {
	// Words are at least as many as the tokenizer has tokens; 0: as many.
	Words() int
	// Unpadded is the body with as many as the tokenizer has.
	Unpadded() Body
}

// Bounded is a body whose config may say the longest sequence.
type Bounded interface {
	// Bound is its length in tokens; 0: what the data say. Where places are learned, nothing is known of those beyond.
	Bound() (context int, learned bool)
}

// Cached is a body that decodes over caches.
type Cached interface {
	// CacheBytes are of a token in all layers, in float32 or in 8 bits.
	CacheBytes(int8s bool) int
}

// Whole is a body with a head and a loss of its own, for a task of its own: of a family whose networks neither read nor see as
// others do.
type Whole interface {
	// Network is the network for data of those sizes.
	Network(d Dims) (Network, error)
}

// Sentenced is a body that can give each text a vector, without labels.
type Sentenced interface {
	// Sentences is the network that does; ok is false where the config does not ask for it.
	Sentences(t Text) (n Sentences, ok bool)
}

// Fitted is a body that cannot look at every image.
type Fitted interface {
	// Check says why it cannot look at images of that size. A config that no images fit is an error that matches
	// configs.ErrConfig.
	Check(d Dims) error
	// SizeKey is the key of [model] that decides.
	SizeKey() string
}

// Staged is a body of stages, which may fare differently in training.
type Staged interface {
	// Stages are their names, from the input on.
	Stages() []Stage
}

// Stage are the names that belong to one stage.
type Stage struct {
	Parameters []string // what its parameters' names begin with
	Output     string   // site of its last block's output, before the norm
}

// Opened is a body of blocks whose MLPs and residual stream an analysis may read and add to.
type Opened interface {
	// Block are the names in a block, from 0 on.
	Block(i int) Block
}

// Block are names in a block of an Opened body.
type Block struct {
	Up     []string // the linear layers that make what the MLP holds inside
	Down   string   // the linear layer that reads what the MLP holds inside: its tap is Down + ".input"
	MLP    string   // site: what the MLP writes
	Output string   // site: the residual stream behind the block
}

// Narrowed is an [Opened] body whose blocks may have MLPs of widths of their own.
type Narrowed interface {
	Opened
	// Widths are those of all blocks.
	Widths() []int
	// Narrow is the body with other ones.
	Narrow(widths []int) Body
}

// Widths is the [model.widths] table: sizes that blocks have of their own.
type Widths struct {
	MLP []int `toml:"mlp" doc:"width inside the MLP of each layer, in place of d_ff" unit:"neurons"`
}

// Check reports widths that blocks cannot have.
func (w *Widths) Check(r *configs.Report, blocks int) {
	if w == nil {
		return
	}
	if len(w.MLP) != blocks {
		r.Errorf("widths.mlp", "has %d values; want one of each of the %d layers", len(w.MLP), blocks)
	}
	for _, n := range w.MLP {
		if n < 1 {
			r.Errorf("widths.mlp", "has %d; want at least 1 of each layer", n)
		}
	}
}

// Of is the width of a block's MLP; without a table all are alike.
func (w *Widths) Of(block, otherwise int) int {
	if w == nil || block >= len(w.MLP) {
		return otherwise
	}
	return w.MLP[block]
}

// All are the widths of all blocks.
func (w *Widths) All(blocks, otherwise int) []int {
	all := make([]int, blocks)
	for i := range all {
		all[i] = w.Of(i, otherwise)
	}
	return all
}

// WidthsOf are a table, or one width if all are alike.
func WidthsOf(all []int) (w *Widths, alike int) {
	for _, n := range all {
		if n != all[0] {
			return &Widths{MLP: all}, 0
		}
	}
	return nil, all[0]
}

// Resumed is a [Sequence] that can go on from states which it has computed before.
type Resumed interface {
	// From is the body from a block on, whose leaf is states [B*T, D] in place of tokens: what the block before it puts out.
	From(block int) Sequence
}

// AttentionSite names the weights [B*T, M] of M heads by which a [Reader] pools the
// tokens of each text, a site; one that does not weigh them has none.
const AttentionSite = "model.pooling.weights"
