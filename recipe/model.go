package recipe

import (
	"fmt"
	"strings"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/model/lama"
	"sparrow/model/vit"
	"sparrow/nn"
)

// Model is the [model] table of a run: the body, by kind, with its keys, and how its linear layers are represented. The defaults
// depend on the kind.
type Model struct {
	Kind string `toml:"kind" doc:"network" choices:"decoder|encoder|lama|favit|vit"`
	Blocks

	TokenTypes *int              `toml:"token_types" doc:"token types of an encoder; left out: 2" unit:"types"`
	Pooler     *string           `toml:"pooler" doc:"activation of an encoder's layer before the classifier; left out: tanh" choices:"tanh|relu"`
	Sentence   *encoder.Sentence `toml:"sentence"` // of an encoder that gives each text a vector; nil: it does not

	Linear []nn.Rule     `toml:"linear"` // representation of linear layers by name; later tables win
	LAMA   *lama.Config  `toml:"lama"`   // of kind lama only
	FaViT  *favit.Config `toml:"favit"`  // of kind favit only
	ViT    *vit.Config   `toml:"vit"`    // of kind vit only
}

// Blocks are the keys of bodies that are made of blocks over a text, decoders and encoders.
type Blocks decoder.Config

// kinds are the bodies that exist: their names, their defaults, and what a table makes of them, nil where it lacks one.
var kinds = []struct {
	name string
	use  func(*Model)
	body func(Model) model.Body
}{
	{"decoder", func(m *Model) { m.Blocks = Blocks(decoder.Default()) }, func(m Model) model.Body { return decoder.Config(m.Blocks) }},
	{"encoder", func(m *Model) { m.Blocks = Blocks(encoder.Default().Keys) }, func(m Model) model.Body {
		return encoder.Config{Keys: encoder.Keys(m.Blocks), TokenTypes: m.TokenTypes, Pooler: m.Pooler, Sentence: m.Sentence}
	}},
	{"lama", func(m *Model) {
		body := lama.Default()
		m.Blocks, m.LAMA = tableless(), &body
	}, func(m Model) model.Body {
		if m.LAMA == nil {
			return nil
		}
		return lama.Body{Context: m.Context, Config: *m.LAMA}
	}},
	{"favit", func(m *Model) {
		body := favit.Default()
		m.Blocks, m.FaViT = tableless(), &body
	}, func(m Model) model.Body {
		if m.FaViT == nil {
			return nil
		}
		return favit.Body{CheckpointActivations: m.CheckpointActivations, Config: *m.FaViT}
	}},
	{"vit", func(m *Model) {
		body := vit.Default()
		m.Blocks, m.ViT = tableless(), &body
	}, func(m Model) model.Body {
		if m.ViT == nil {
			return nil
		}
		return vit.Body{CheckpointActivations: m.CheckpointActivations, Config: *m.ViT}
	}},
}

// tableless are the keys of blocks of a body that is described by a table of its own.
func tableless() Blocks {
	b := Blocks(decoder.Default())
	b.DModel, b.NLayer = 0, 0
	return b
}

// DefaultModel is a small LLaMA-style decoder.
func DefaultModel() Model { return Model{Kind: "decoder", Blocks: Blocks(decoder.Default())} }

// Classifiers are the kinds that give labels or scores to texts.
func Classifiers() (names []string) {
	for _, k := range kinds {
		m := DefaultModel()
		m.UseKind(k.name)
		if _, ok := m.Body().(model.Reader); ok {
			names = append(names, k.name)
		}
	}
	return names
}

// Viewers are the kinds that look at images.
func Viewers() (names []string) {
	for _, k := range kinds {
		m := DefaultModel()
		m.UseKind(k.name)
		if _, ok := m.Body().(model.Viewer); ok {
			names = append(names, k.name)
		}
	}
	return names
}

// UseKind implements configs.Kinded: it sets the defaults of another kind.
func (m *Model) UseKind(kind string) {
	for _, k := range kinds {
		if kind != m.Kind && kind == k.name {
			*m = Model{Kind: kind}
			k.use(m)
			return
		}
	}
}

// Body is the body that the table describes; nil of an unknown kind or where a table is missing, which Validate reports.
func (m Model) Body() model.Body {
	for _, k := range kinds {
		if k.name == m.Kind {
			return k.body(m)
		}
	}
	return nil
}

// Validate reports values that no model can have.
func (m Model) Validate(r *configs.Report) {
	r.OneOf("kind")
	for _, own := range []struct {
		key   string
		given bool
	}{{"lama", m.LAMA != nil}, {"favit", m.FaViT != nil}, {"vit", m.ViT != nil}} {
		if own.given && m.Kind != own.key {
			r.Errorf(own.key, "is for kind = %q only, but kind = %q", own.key, m.Kind)
		}
		if own.key != m.Kind {
			continue
		}
		if !own.given {
			r.Errorf(own.key, "is missing; kind = %q wants this table", m.Kind)
		}
		m.validateOwnTable(r)
	}
	body := m.Body()
	if body != nil {
		body.Validate(r)
	}
	if _, ok := body.(encoder.Config); body != nil && !ok {
		for _, k := range []struct {
			key   string
			given bool
		}{{"token_types", m.TokenTypes != nil}, {"pooler", m.Pooler != nil}, {"sentence.pooling", m.Sentence != nil}} {
			if k.given {
				r.Errorf(k.key, "is for kind = \"encoder\" only, but kind = %q", m.Kind)
			}
		}
	}
}

// validateOwnTable reports keys that a network with a table of its own does not read: whoever sets one expects something of it.
func (m Model) validateOwnTable(r *configs.Report) {
	plain := tableless()
	_, sees := m.Body().(model.Viewer)
	for _, k := range []struct {
		key  string
		same bool
	}{
		{"d_model", m.DModel == plain.DModel}, {"n_layer", m.NLayer == plain.NLayer}, {"d_ff", m.DFF == plain.DFF},
		{"norm", m.Norm == plain.Norm}, {"norm_eps", m.NormEps == plain.NormEps}, {"mlp", m.MLP == plain.MLP},
		{"positions", m.Positions == plain.Positions}, {"tie_embeddings", m.Tied == plain.Tied}, {"bias", m.Bias == plain.Bias},
		{"dropout", m.Dropout == plain.Dropout}, {"init_std", m.InitStd == plain.InitStd},
		{"checkpoint_activations", !m.CheckpointActivations || sees}, {"attention.kind", m.Attention == plain.Attention},
		{"context", m.Context <= 0 || !sees},
	} {
		if !k.same {
			r.Errorf(k.key, "is not for kind = %q, whose keys are those of [model.%s]", m.Kind, m.Kind)
		}
	}
}

// Types is how many texts the body tells apart in a sequence; 0: none.
func (m Model) Types() int {
	if body, ok := m.Body().(model.Typed); ok {
		return body.Types()
	}
	return 0
}

// Network is the network of a [model] table for data of those sizes. A table that no network can have is an error that matches
// configs.ErrConfig.
func (m Model) Network(d model.Dims) (model.Network, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	table := struct {
		Model Model `toml:"model"`
	}{m}
	if err := configs.Validate("model", &table); err != nil {
		return nil, err
	}
	body, text := m.Body(), model.Text{Vocab: d.VocabSize, Length: d.Context}
	viewer, sees := body.(model.Viewer)
	reader, reads := body.(model.Reader)
	sequence, _ := body.(model.Sequence)
	causal := sequence != nil && sequence.Causal()
	text.Types = m.Types()
	if m.Vocab != nil {
		if *m.Vocab < d.VocabSize {
			return nil, fmt.Errorf("model: vocab_size = %d, but the tokenizer has %d tokens", *m.Vocab, d.VocabSize)
		}
		text.Vocab = *m.Vocab
	}
	switch {
	case sees && d.ImageSize == 0:
		return nil, fmt.Errorf("model: kind = %q wants images", m.Kind)
	case sees:
		if fitted, ok := body.(model.Fitted); ok {
			if err := fitted.Check(d); err != nil {
				return nil, err
			}
		}
		return model.Images{Body: viewer, Picture: model.Picture{Channels: d.Channels, Height: d.ImageSize, Width: d.ImageSize}, Classes: d.Classes}, nil
	case d.ImageSize > 0:
		return nil, fmt.Errorf("model: kind = %q does not look at images; want one of %s", m.Kind, strings.Join(Viewers(), ", "))
	case d.Outputs() > 0 && !reads:
		return nil, fmt.Errorf("model: kind = %q predicts tokens, not labels; want one of %s", m.Kind, strings.Join(Classifiers(), ", "))
	case d.Outputs() > 0:
		return model.Labels{Body: reader, Text: text, Classes: d.Classes}, nil
	case sequence == nil:
		return nil, fmt.Errorf("model: kind = %q wants labelled data: classes or a regression", m.Kind)
	case causal:
		return model.Language{Body: sequence, Text: text}, nil
	}
	if body, ok := body.(model.Sentenced); ok {
		if n, ok := body.Sentences(text); ok {
			return n, nil
		}
	}
	return model.Masked{Body: sequence, Text: text}, nil
}

// NewSession is [model.NewSession] of the table's network, with its linear layers.
func (m Model) NewSession(d model.Dims, store *nn.Store, o model.Options) (*model.Session, error) {
	n, err := m.Network(d)
	if err != nil {
		return nil, err
	}
	o.Linear = m.Linear
	return model.NewSession(n, store, o)
}
