package model

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
)

// Config is the [model] table: a decoder in the manner of LLaMA or, with
// norm = "layer_norm", mlp = "gelu_tanh", positions = "learned" and biases, of
// GPT-2; an encoder in the manner of BERT; or a lama or a favit, of whose networks
// all is said in tables of their own. The defaults depend on the kind.
type Config struct {
	Kind    string `toml:"kind" doc:"network" choices:"decoder|encoder|lama|favit"`
	DModel  int    `toml:"d_model" doc:"width of the residual stream" unit:"neurons"`
	NLayer  int    `toml:"n_layer" doc:"blocks"`
	DFF     int    `toml:"d_ff" doc:"width inside the MLP; 0: 8/3 d_model, rounded up to 8 (swiglu), or 4 d_model" unit:"neurons"`
	Context int    `toml:"context" doc:"longest sequence; 0: [data] seq_len" unit:"tokens"`

	Norm                  string  `toml:"norm" doc:"kind of norm before each branch" choices:"rms_norm|layer_norm"`
	NormEps               float64 `toml:"norm_eps" doc:"added to the variance"`
	MLP                   string  `toml:"mlp" doc:"activation of the MLP" choices:"swiglu|gelu|gelu_tanh|relu|silu"`
	Positions             string  `toml:"positions" doc:"how tokens know their places" choices:"rotary|learned"`
	Tied                  bool    `toml:"tie_embeddings" doc:"the output head is the token embedding"`
	Bias                  bool    `toml:"bias" doc:"biases in the MLP's layers"`
	Dropout               float64 `toml:"dropout" doc:"probability, on embeddings and on each branch"`
	InitStd               float64 `toml:"init_std" doc:"deviation of the weights' normal distribution"`
	CheckpointActivations bool    `toml:"checkpoint_activations" doc:"compute activations of a block again in the backward pass, to save memory, for about a third more time"`

	Vocab      *int    `toml:"vocab_size" doc:"rows of the token embedding; left out: as many as the tokenizer has tokens" unit:"tokens"`
	TokenTypes *int    `toml:"token_types" doc:"token types of an encoder; left out: 2" unit:"types"`
	Pooler     *string `toml:"pooler" doc:"activation of an encoder's layer before the classifier; left out: tanh" choices:"tanh|relu"`

	Sentence  *SentenceConfig  `toml:"sentence"` // of an encoder that gives each text a vector; nil: it does not
	Attention attention.Config `toml:"attention"`
	Linear    []nn.Rule        `toml:"linear"` // representation of linear layers by name; later tables win

	LAMA  *LAMAConfig  `toml:"lama"`  // of kind lama only
	FaViT *FaViTConfig `toml:"favit"` // of kind favit only
}

// MaxLayers bounds n_layer: building a graph takes time that grows with the
// square of its size, 0.3 s at 100 blocks and 3.4 s at 800.
const MaxLayers = 1000

// DefaultConfig is a small LLaMA-style decoder.
func DefaultConfig() Config {
	return Config{
		Kind: "decoder", DModel: 256, NLayer: 4,
		Norm: "rms_norm", NormEps: 1e-5, MLP: "swiglu", Positions: "rotary", InitStd: 0.02,
		Attention: attention.DefaultConfig(),
	}
}

// Kinds are the networks that exist.
var Kinds = []string{"decoder", "encoder", "lama", "favit"}

// Classifiers are the kinds that give labels or scores to texts.
var Classifiers = []string{"encoder", "lama"}

// WordEmbedding is the name of the parameter with a vector for each token.
func (c Config) WordEmbedding() string {
	if c.Kind == "encoder" {
		return "bert.embeddings.word_embeddings.weight"
	}
	return "model.embed_tokens.weight"
}

// UseKind implements configs.Kinded: it sets the defaults of another kind, for
// an encoder those of BERT but for its size.
func (c *Config) UseKind(kind string) {
	if kind == c.Kind {
		return
	}
	switch kind {
	case "decoder":
		*c = DefaultConfig()
	case "encoder":
		*c = DefaultConfig()
		c.Kind, c.Norm, c.NormEps, c.MLP, c.Positions, c.Bias = kind, "layer_norm", 1e-12, "gelu", "learned", true
		c.Attention.OneOf = attention.As(attention.MHA{Projections: attention.Projections{Bias: true}})
		c.Dropout = 0.1
	case "lama":
		lama := DefaultLAMAConfig()
		*c = DefaultConfig()
		c.Kind, c.LAMA, c.DModel, c.NLayer = kind, &lama, 0, 0
	case "favit":
		favit := DefaultFaViTConfig()
		*c = DefaultConfig()
		c.Kind, c.FaViT, c.DModel, c.NLayer = kind, &favit, 0, 0
	}
}

// Layout says in a few words how large the network is.
func (c Config) Layout() string {
	if c.Kind == "lama" {
		l := c.LAMA
		return fmt.Sprintf("embeddings of width %d, 2 x %d hidden units, %s pooling", l.EmbedDim, l.Hidden, l.Pooling.Name)
	}
	if c.Kind == "favit" {
		v := c.FaViT.Resolved()
		return fmt.Sprintf("%s with %s attention, %d blocks in stages of width %s", v.Variant, v.Attention, c.Blocks(), strings.Trim(strings.ReplaceAll(fmt.Sprint(v.Widths), " ", ", "), "[]"))
	}
	return fmt.Sprintf("%d layers of width %d", c.NLayer, c.DModel)
}

// Blocks is how many blocks the network has; 0 if it is not made of blocks.
func (c Config) Blocks() int {
	if c.Kind != "favit" {
		return c.NLayer
	}
	n := 0
	for _, depth := range c.FaViT.Resolved().Depths {
		n += depth
	}
	return n
}

// Validate reports values that no model can have.
func (c Config) Validate(r *configs.Report) {
	if !slices.Contains(Kinds, c.Kind) {
		r.Errorf("kind", "is unknown; want one of %s", strings.Join(Kinds, ", "))
	}
	atLeast := func(key string, v, low int) {
		if v < low {
			r.Errorf(key, "is too small; want at least %d", low)
		}
	}
	if c.Context < 0 {
		r.Errorf("context", "is negative; want 0 ([data] seq_len) or more")
	}
	if c.LAMA != nil && c.Kind != "lama" {
		r.Errorf("lama", "is for kind = \"lama\" only, but kind = %q", c.Kind)
	}
	if c.FaViT != nil && c.Kind != "favit" {
		r.Errorf("favit", "is for kind = \"favit\" only, but kind = %q", c.Kind)
	}
	if c.Kind == "lama" || c.Kind == "favit" {
		c.validateOwnTable(r)
		return
	}
	atLeast("d_model", c.DModel, 1)
	atLeast("n_layer", c.NLayer, 1)
	if c.NLayer > MaxLayers {
		r.Errorf("n_layer", "is too large; want at most %d", MaxLayers)
	}
	if c.DFF < 0 {
		r.Errorf("d_ff", "is negative; want 0 (chosen from d_model) or more")
	}
	oneOf := func(key, v string, known []string) {
		if !slices.Contains(known, v) {
			r.Errorf(key, "is unknown; want one of %s", strings.Join(known, ", "))
		}
	}
	oneOf("norm", c.Norm, nn.NormKinds)
	oneOf("mlp", c.MLP, nn.MLPKinds)
	oneOf("positions", c.Positions, []string{"rotary", "learned"})
	within := func(key string, ok bool, want string) {
		if !ok {
			r.Errorf(key, "is out of range; want %s", want)
		}
	}
	within("norm_eps", c.NormEps > 0 && c.NormEps < 1, "more than 0 and less than 1")
	within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
	within("init_std", c.InitStd > 0 && c.InitStd < 10, "more than 0 and less than 10")
	c.Attention.ValidateIn(r, c.DModel, c.Positions == "rotary")
	if c.Vocab != nil && *c.Vocab < 1 {
		r.Errorf("vocab_size", "is too small; want at least 1")
	}
	if c.Kind == "encoder" {
		c.validateEncoder(r)
		return
	}
	forEncoder := func(key string, given bool) {
		if given {
			r.Errorf(key, "is for kind = \"encoder\" only, but kind = %q", c.Kind)
		}
	}
	forEncoder("token_types", c.TokenTypes != nil)
	forEncoder("pooler", c.Pooler != nil)
	forEncoder("sentence.pooling", c.Sentence != nil)
}

// validateEncoder reports what an encoder cannot be made of.
func (c Config) validateEncoder(r *configs.Report) {
	only := func(key string, ok bool, want string) {
		if !ok {
			r.Errorf(key, "is not for kind = \"encoder\"; want %s", want)
		}
	}
	if c.TokenTypes != nil && (*c.TokenTypes < 0 || *c.TokenTypes > maxTokenTypes) {
		r.Errorf("token_types", "is out of range; want 0 to %d", maxTokenTypes)
	}
	if c.Pooler != nil && *c.Pooler != "tanh" && *c.Pooler != "relu" {
		r.Errorf("pooler", "is unknown; want tanh or relu")
	}
	own, _ := c.Attention.Projections()
	only("attention.output_bias", own.OutputBias == nil, "none: bias is of all four projections")
	only("attention.qk_norm", !own.NormedHeads(), "none")
	only("attention.rope_scaling.kind", c.Attention.Scaling == nil, "none: its positions are learned")
	only("positions", c.Positions == "learned", "\"learned\"")
	only("mlp", c.MLP != "swiglu", "gelu, gelu_tanh, relu or silu")
	only("tie_embeddings", !c.Tied, "false: an output embedding, of a masked language model, is always tied")
	_, mha := c.Attention.Of.(attention.MHA)
	only("attention.kind", mha, "\"mha\"")
	only("attention.rope_theta", c.Attention.Theta == attention.DefaultConfig().Theta, "none: its positions are learned")
}

// HiddenWidth is the width inside the MLP.
func (c Config) HiddenWidth() int {
	switch {
	case c.DFF > 0:
		return c.DFF
	case c.MLP == "swiglu":
		return (c.DModel*8/3 + 7) / 8 * 8
	}
	return 4 * c.DModel
}

// Dims are the sizes of a network that follow from its data.
type Dims struct {
	VocabSize  int  // of the tokenizer
	Context    int  // longest sequence, tokens
	Classes    int  // of a classification; else 0
	Regression bool // one score for each text

	// Sizes of a network that looks at images, whose context is the number of their pixels
	// and that has no vocabulary; else 0.
	ImageSize int // side, pixels
	Channels  int
}

// ImageDims are those of a classifier of square images.
func ImageDims(classes, imageSize, channels int) Dims {
	return Dims{Context: imageSize * imageSize, Classes: classes, ImageSize: imageSize, Channels: channels}
}

func (d Dims) favit() FaViTDims {
	return FaViTDims{Classes: d.Classes, ImageSize: d.ImageSize, Channels: d.Channels}
}

// Validate reports dimensions without which no network can be built.
func (d Dims) Validate() error {
	if d.ImageSize != 0 {
		if d != ImageDims(d.Classes, d.ImageSize, d.Channels) || d.ImageSize < 1 || d.Channels < 1 || d.Classes < 1 {
			return fmt.Errorf("model: images of %d pixels a side and %d channels in %d classes, context %d, vocabulary %d; want what ImageDims returns, at least 1 each",
				d.ImageSize, d.Channels, d.Classes, d.Context, d.VocabSize)
		}
		return nil
	}
	if d.VocabSize < 1 || d.Context < 1 {
		return fmt.Errorf("model: vocabulary of %d and context of %d tokens; want at least 1 each", d.VocabSize, d.Context)
	}
	if d.Classes < 0 || d.Classes > 0 && d.Regression {
		return fmt.Errorf("model: %d classes, regression %t; want classes or a regression, or neither", d.Classes, d.Regression)
	}
	return nil
}

// Outputs is the width of a classifier's scores; 0: a language model.
func (d Dims) Outputs() int {
	if d.Regression {
		return 1
	}
	return d.Classes
}

// Network is the network of a config for data of those sizes. A config that no network
// can have is an error that matches configs.ErrConfig.
func (c Config) Network(d Dims) (Network, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	table := struct {
		Model Config `toml:"model"`
	}{c}
	if err := configs.Validate("model", &table); err != nil {
		return nil, err
	}
	if err := c.check(d); err != nil {
		return nil, err
	}
	text := Text{Vocab: d.VocabSize, Length: d.Context}
	if c.Vocab != nil {
		if *c.Vocab < d.VocabSize {
			return nil, fmt.Errorf("model: vocab_size = %d, but the tokenizer has %d tokens", *c.Vocab, d.VocabSize)
		}
		text.Vocab = *c.Vocab
	}
	switch b := c.Body().(type) {
	case DecoderBody:
		return Language{b, text}, nil
	case LAMABody:
		return Labels{b, text, d.Classes}, nil
	case FaViTBody:
		return Images{b, Picture{d.Channels, d.ImageSize, d.ImageSize}, d.Classes}, nil
	}
	text.Types = c.Types()
	switch {
	case d.Outputs() > 0:
	case c.Sentence != nil:
		return c.sentences(text), nil
	default:
		return Masked{EncoderBody{c}, text}, nil
	}
	return Labels{EncoderBody{c}, text, d.Classes}, nil
}

// Body is the body of a valid config: what it gives, as a [Sequence], a [Reader] or a [Viewer], decides what the network can be
// for.
func (c Config) Body() any {
	switch c.Kind {
	case "decoder":
		return DecoderBody{c}
	case "lama":
		return LAMABody{*c.LAMA}
	case "favit":
		return FaViTBody{*c.FaViT, c.CheckpointActivations}
	}
	return EncoderBody{c}
}

// NewSession is [NewSession] of the config's network, with its linear layers.
func (c Config) NewSession(d Dims, store *nn.Store, o Options) (*Session, error) {
	n, err := c.Network(d)
	if err != nil {
		return nil, err
	}
	o.Linear = c.Linear
	return NewSession(n, store, o)
}

// Shape is that of a program for rows texts of length tokens, or for rows images.
func (d Dims) Shape(rows, length int) Shape {
	if d.ImageSize > 0 {
		return Shape{Rows: rows, Height: d.ImageSize, Width: d.ImageSize}
	}
	return Shape{Rows: rows, Length: length}
}

// check refuses a network that cannot do what the data ask for.
func (c Config) check(d Dims) error {
	switch {
	case c.Kind == "favit" && d.ImageSize == 0:
		return fmt.Errorf("model: kind = \"favit\" wants images")
	case c.Kind == "favit":
		return c.FaViT.Check(d.favit())
	case d.ImageSize > 0:
		return fmt.Errorf("model: kind = %q does not look at images; want \"favit\"", c.Kind)
	case c.Kind == "decoder" && d.Outputs() > 0:
		return fmt.Errorf("model: kind = \"decoder\" predicts tokens, not labels; want one of %s", strings.Join(Classifiers, ", "))
	case c.Kind == "lama" && d.Outputs() == 0:
		return fmt.Errorf("model: kind = %q wants labelled data: classes or a regression", c.Kind)
	}
	return nil
}
