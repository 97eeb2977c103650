package recipe

import (
	"fmt"
	"reflect"
	"strings"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/denoiser"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/model/lama"
	"sparrow/model/recommender"
	"sparrow/model/vit"
	"sparrow/nn"
)

// Model is the [model] table of a run: the body, by kind, with its keys, and how its linear layers are represented.
type Model struct {
	configs.OneOf[model.Body] `doc:"network"`

	Linear    []nn.Rule  `toml:"linear"`    // representation of linear layers by name; later tables win
	Embedding *Embedding `toml:"embedding"` // and of the words' embedding; nil: dense
}

// Embedding is the [model.embedding] table.
type Embedding struct {
	configs.OneOf[nn.Table] `doc:"how the embedding of the words is represented, and with it a head that is tied to it"`
}

// Validate reports a network without words.
func (m Model) Validate(r *configs.Report) {
	_, worded := m.Of.(model.Worded)
	r.Only("embedding", m.Embedding == nil || worded, "kind = \""+m.Name+"\"", "no such table: the network has no embedding of words")
}

// Dense is the table of the same network with dense layers.
func (m Model) Dense() Model {
	m.Linear, m.Embedding = nil, nil
	return m
}

// Represented are options with how the table's layers are represented.
func (m Model) Represented(o model.Options) model.Options {
	o.Linear, o.Words = m.Linear, nil
	if m.Embedding != nil {
		o.Words = m.Embedding.Of
	}
	return o
}

// Bodies are the networks that come with the program, in the order in which messages name them.
func Bodies() []configs.Choice[model.Body] {
	return []configs.Choice[model.Body]{
		{Name: "decoder", New: func() model.Body { return decoder.Default() }},
		{Name: "encoder", New: func() model.Body { return encoder.Default() }},
		{Name: "lama", New: func() model.Body { return lama.DefaultBody() }},
		{Name: "favit", New: func() model.Body { return favit.DefaultBody() }},
		{Name: "vit", New: func() model.Body { return vit.DefaultBody() }},
		{Name: "denoiser", New: func() model.Body { return denoiser.DefaultBody() }},
		{Name: "popularity", New: func() model.Body { return recommender.Popularity{} }},
		{Name: "item_knn", New: func() model.Body { return recommender.DefaultItemKNN() }},
		{Name: "pure_svd", New: func() model.Body { return recommender.DefaultPureSVD() }},
		{Name: "ease", New: func() model.Body { return recommender.DefaultEASE() }},
		{Name: "mf", New: func() model.Body { return recommender.DefaultMF() }},
		{Name: "two_tower", New: func() model.Body { return recommender.DefaultTwoTower() }},
		{Name: "autorec", New: func() model.Body { return recommender.DefaultAutoRec() }},
		{Name: "deepfm", New: func() model.Body { return recommender.DefaultDeepFM() }},
		{Name: "wrmf", New: func() model.Body { return recommender.DefaultWRMF() }},
	}
}

// ModelOf is the table of a body, which must be of one of Bodies, with dense layers.
func ModelOf(b model.Body) Model {
	for _, c := range Bodies() {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(b) {
			return Model{OneOf: configs.OneOf[model.Body]{Name: c.Name, Of: b}}
		}
	}
	panic(fmt.Sprintf("recipe: %T is not one of Bodies", b))
}

// DefaultModel is a small LLaMA-style decoder.
func DefaultModel() Model { return ModelOf(decoder.Default()) }

// Body is the body that the table chose; nil: none.
func (m Model) Body() model.Body { return m.Of }

// give are the names of the bodies that give B, such as model.Reader.
func give[B any]() (names []string) {
	for _, c := range Bodies() {
		if _, ok := c.New().(B); ok {
			names = append(names, c.Name)
		}
	}
	return names
}

// Types is how many texts the body tells apart in a sequence; 0: none.
func (m Model) Types() int {
	if body, ok := m.Of.(model.Typed); ok {
		return body.Types()
	}
	return 0
}

// Sentences is how the body makes one vector of a text; ok is false where it does not.
func (m Model) Sentences() (n model.Sentences, ok bool) {
	if body, is := m.Of.(model.Sentenced); is {
		n, ok = body.Sentences(model.Text{})
	}
	return n, ok
}

// bound is the longest sequence that the body's config has, 0 where that has none, and whether places are learned.
func (m Model) bound() (context int, learned bool) {
	if body, ok := m.Of.(model.Bounded); ok {
		return body.Bound()
	}
	return 0, false
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
	if err := configs.Validate("model", &table, Lists()); err != nil {
		return nil, err
	}
	if body, ok := m.Of.(model.Whole); ok {
		return body.Network(d)
	}
	text := model.Text{Vocab: d.VocabSize, Length: d.Context, Types: m.Types()}
	if body, ok := m.Of.(model.Padded); ok && body.Words() > 0 {
		if text.Vocab = body.Words(); text.Vocab < d.VocabSize {
			return nil, fmt.Errorf("model: vocab_size = %d, but the tokenizer has %d tokens", text.Vocab, d.VocabSize)
		}
	}
	viewer, sees := m.Of.(model.Viewer)
	reader, reads := m.Of.(model.Reader)
	sequence, _ := m.Of.(model.Sequence)
	switch {
	case sees && d.ImageSize == 0:
		return nil, fmt.Errorf("model: kind = %q wants images", m.Name)
	case sees:
		if fitted, ok := m.Of.(model.Fitted); ok {
			if err := fitted.Check(d); err != nil {
				return nil, err
			}
		}
		return model.Images{Body: viewer, Picture: model.Picture{Channels: d.Channels, Height: d.ImageSize, Width: d.ImageSize}, Classes: d.Classes}, nil
	case d.ImageSize > 0:
		return nil, fmt.Errorf("model: kind = %q does not look at images; want one of %s", m.Name, strings.Join(give[model.Viewer](), ", "))
	case d.Outputs() > 0 && !reads:
		return nil, fmt.Errorf("model: kind = %q predicts tokens, not labels; want one of %s", m.Name, strings.Join(give[model.Reader](), ", "))
	case d.Candidates > 0:
		body, ok := m.Of.(model.RankedBody)
		if ok {
			var n model.Candidates
			if n, ok = body.Candidates(text); ok {
				n.Count = d.Candidates
				return n, nil
			}
		}
		return nil, fmt.Errorf("model: kind = %q has no table [model.ranking], which says how pairs of a query and a candidate get their scores", m.Name)
	case d.Outputs() > 0:
		return model.Labels{Body: reader, Text: text, Classes: d.Classes}, nil
	case sequence == nil:
		return nil, fmt.Errorf("model: kind = %q wants labelled data: classes or a regression", m.Name)
	case sequence.Causal():
		return model.Language{Body: sequence, Text: text}, nil
	}
	if body, ok := m.Of.(model.Sentenced); ok {
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
	return model.NewSession(n, store, m.Represented(o))
}
