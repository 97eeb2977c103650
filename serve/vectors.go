package serve

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"

	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/task"
)

// maxTexts bounds the texts of a request for vectors, classes or a ranking.
const maxTexts = 2048

// texts reads a text or an array of texts.
func texts(field string, given json.RawMessage) ([]string, error) {
	many, ok := as[[]string](given)
	if one, single := as[string](given); single {
		many = []string{one}
	} else if !ok {
		return nil, badRequest(field, "%s is missing, or no text and no array of texts", field)
	}
	if len(many) == 0 || len(many) > maxTexts {
		return nil, badRequest(field, "%s has %d texts; want 1 to %d", field, len(many), maxTexts)
	}
	return many, nil
}

// aboutInput makes an error about one of several inputs the client's.
func aboutInput(field string, err error) error {
	var about *task.InputError
	if errors.As(err, &about) {
		return badRequest(field, "%s[%d]: %v", field, about.Index, about.Err)
	}
	return err
}

// embeddings answers /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q EmbeddingRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	if m.embedder == nil {
		return cannot(m.Name, "gives texts no vectors")
	}
	if q.EncodingFormat != "" && q.EncodingFormat != "float" && q.EncodingFormat != "base64" {
		return badRequest("encoding_format", "encoding_format = %q; want float or base64", clip(q.EncodingFormat))
	}
	in, err := texts("input", q.Input)
	if err != nil {
		return err
	}
	dims, err := integer("dimensions", q.Dimensions, 0, 1, math.MaxInt)
	if err != nil {
		return err
	}
	vectors, err := m.embed(r, in, dims)
	if errors.Is(err, task.ErrUsage) && dims > 0 {
		return badRequest("dimensions", "%v", err)
	} else if err != nil {
		return aboutInput("input", err)
	}
	out := Embeddings{Object: "list", Model: m.Name}
	for i, v := range vectors {
		x := Embedding{Object: "embedding", Index: i, Embedding: v}
		if q.EncodingFormat == "base64" {
			raw := make([]byte, 0, 4*len(v))
			for _, a := range v {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(a))
			}
			x.Embedding = base64.StdEncoding.EncodeToString(raw)
		}
		out.Data = append(out.Data, x)
	}
	out.Usage.PromptTokens = m.count(in)
	out.Usage.TotalTokens = out.Usage.PromptTokens
	answer(w, http.StatusOK, out)
	return nil
}

func (m *served) embed(r *http.Request, in []string, dims int) (out [][]float32, err error) {
	err = m.Model.Model.Do(r.Context(), func(s *model.Session) error {
		out, err = m.embedder.Embed(r.Context(), s, in, task.Vectors{Dims: dims})
		return err
	})
	return out, err
}

// count is how many tokens texts have, with those around them.
func (m *served) count(in []string) (n int) {
	around := tokenizers.FrameOf(m.tokenizer).Tokens(1)
	if around == 0 && tokenizers.Specials(m.tokenizer).Start >= 0 {
		around = 2 // [CLS] and [SEP] of BERT's form
	}
	for _, text := range in {
		if ids, err := m.tokenizer.Encode(text); err == nil {
			n += len(ids) + around
		}
	}
	return n
}

// classify answers /v1/classify.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) error {
	var q ClassifyRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	if m.predictor == nil {
		return cannot(m.Name, "labels no texts")
	}
	var in []task.Input
	var pairs [][]string
	if m.predictor.Reads() == task.TwoTexts {
		if err := json.Unmarshal(q.Input, &pairs); err != nil || len(pairs) == 0 || len(pairs) > maxTexts {
			return badRequest("input", "input is no array of 1 to %d arrays of two texts, of which the model says something", maxTexts)
		}
		for i, pair := range pairs {
			if len(pair) != 2 {
				return badRequest("input", "input[%d] has %d texts; want 2", i, len(pair))
			}
			in = append(in, task.Input{Texts: pair})
		}
	} else {
		many, err := texts("input", q.Input)
		if err != nil {
			return err
		}
		for _, text := range many {
			in = append(in, task.Input{Texts: []string{text}})
		}
	}
	predictions, err := m.predict(r, in)
	if err != nil {
		return aboutInput("input", err)
	}
	out := Classification{Object: "list", Model: m.Name}
	for i, p := range predictions {
		x := TextClasses{Index: i, Label: p[0].Name}
		for _, v := range p {
			x.Scores = append(x.Scores, LabelScore{v.Name, v.X})
		}
		out.Data = append(out.Data, x)
	}
	answer(w, http.StatusOK, out)
	return nil
}

func (m *served) predict(r *http.Request, in []task.Input) (out []task.Prediction, err error) {
	err = m.Model.Model.Do(r.Context(), func(s *model.Session) error {
		out, err = m.predictor.Predict(r.Context(), s, in)
		return err
	})
	return out, err
}

// rerank answers /v1/rerank, as sparrow.Model.Rerank does.
func (s *Server) rerank(w http.ResponseWriter, r *http.Request) error {
	var q RerankRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	if len(q.Documents) == 0 || len(q.Documents) > maxTexts {
		return badRequest("documents", "%d documents; want 1 to %d", len(q.Documents), maxTexts)
	}
	documents := make([]string, len(q.Documents))
	for i, given := range q.Documents {
		text, ok := as[string](given)
		if d, object := as[struct{ Text *string }](given); object && d.Text != nil {
			text, ok = *d.Text, true
		}
		if !ok {
			return badRequest("documents", "documents[%d] is no text and no object with the key text", i)
		}
		documents[i] = text
	}
	top, err := integer("top_n", q.TopN, len(documents), 1, math.MaxInt)
	if err != nil {
		return err
	}
	if m.ranker == nil {
		return cannot(m.Name, "is no model of pairs and gives texts no vectors")
	}
	var scores []float64
	if err := m.Model.Model.Do(r.Context(), func(s *model.Session) (err error) {
		scores, err = m.ranker.Rank(r.Context(), s, q.Query, documents)
		return err
	}); err != nil {
		return aboutInput("documents", err)
	}
	out := Ranking{Model: m.Name}
	for i, score := range scores {
		x := Ranked{Index: i, Relevance: score}
		if q.ReturnDocuments == nil || *q.ReturnDocuments {
			x.Document = &Document{documents[i]}
		}
		out.Results = append(out.Results, x)
	}
	slices.SortStableFunc(out.Results, func(a, b Ranked) int { return cmp.Compare(b.Relevance, a.Relevance) })
	out.Results = out.Results[:min(top, len(out.Results))]
	answer(w, http.StatusOK, out)
	return nil
}
