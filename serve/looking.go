package serve

import (
	"net/http"

	"sparrow/model"
	"sparrow/model/decoder"
)

// maxLooked bounds the tokens of a text whose attention is shown: the answer has the square of that many numbers.
const maxLooked = 256

// body is the decoder of a model that writes.
func (m *served) body() (decoder.Config, bool) {
	if m.writer == nil {
		return decoder.Config{}, false
	}
	c, ok := m.Model.Model.Config.Model.Body().(decoder.Config)
	return c, ok
}

// attention answers /v1/attention.
func (s *Server) attention(w http.ResponseWriter, r *http.Request) error {
	var q AttentionRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	body, ok := m.body()
	if !ok {
		return cannot(m.Name, "has no attention to show: it writes no text")
	}
	layer, err := integer("layer", &q.Layer, 0, 0, body.NLayer-1)
	if err != nil {
		return err
	}
	head, err := integer("head", &q.Head, 0, 0, body.Attention.NHead-1)
	if err != nil {
		return err
	}
	prompts, _, err := m.prompts(q.Prompt)
	if err != nil {
		return err
	}
	ids := prompts[0]
	if most := min(maxLooked, m.context); len(prompts) > 1 || len(ids) < 1 || len(ids) > most {
		return badRequest("prompt", "%d prompts, of which the first has %d tokens; want one of 1 to %d", len(prompts), len(ids), most)
	}
	out := Attention{Model: m.Name, Layer: layer, Head: head}
	for _, id := range ids {
		out.Tokens = append(out.Tokens, shown(tokenText(m.writer.Tokenizer(), id)))
	}
	m.scoring.Lock()
	defer m.scoring.Unlock()
	if err := m.Model.Model.Do(r.Context(), func(x *model.Session) (err error) {
		out.Weights, err = body.AttentionWeights(x, ids, layer, head)
		return err
	}); err != nil {
		return err
	}
	answer(w, http.StatusOK, out)
	return nil
}

// report answers /v1/reports/{model}.
func (s *Server) report(w http.ResponseWriter, r *http.Request) error {
	m, err := s.named(r.PathValue("model"))
	if err != nil {
		return err
	}
	if m.Report == nil {
		return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "no_report", Message: "model " + m.Name + " has no report of its compression"}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(m.Report)
	return err
}
