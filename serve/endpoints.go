package serve

import (
	"errors"
	"net/http"
	"reflect"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// endpoint is a path and what answers there. The list of them makes the routes and the OpenAPI description.
type endpoint struct {
	method, path string
	doc          string
	request      reflect.Type // of the body; nil: none
	response     reflect.Type // of the answer; nil: no JSON
	answer       func(s *Server, w http.ResponseWriter, r *http.Request) error
}

func endpoints() []endpoint {
	return []endpoint{
		{"GET", "/v1/models", "Lists the models.", nil, reflect.TypeFor[ModelList](), (*Server).listModels},
		{"GET", "/v1/models/{model...}", "Shows one model.", nil, reflect.TypeFor[ModelCard](), (*Server).showModel},
		{"POST", "/v1/completions", "Continues texts.", reflect.TypeFor[CompletionRequest](), reflect.TypeFor[Completion](), (*Server).completions},
		{"POST", "/v1/chat/completions", "Writes the next message of a conversation.", reflect.TypeFor[ChatRequest](), reflect.TypeFor[ChatCompletion](), (*Server).chat},
		{"POST", "/v1/embeddings", "Gives texts vectors.", reflect.TypeFor[EmbeddingRequest](), reflect.TypeFor[Embeddings](), (*Server).embeddings},
		{"POST", "/v1/classify", "Gives texts classes.", reflect.TypeFor[ClassifyRequest](), reflect.TypeFor[Classification](), (*Server).classify},
		{"POST", "/v1/rerank", "Ranks documents by how well they answer a query.", reflect.TypeFor[RerankRequest](), reflect.TypeFor[Ranking](), (*Server).rerank},
		{"POST", "/v1/search", "Finds the items of an index that a model of pairs ranks first.", reflect.TypeFor[SearchRequest](), reflect.TypeFor[SearchResults](), (*Server).search},
		{"POST", "/v1/attention", "Tells how one head of one layer weighs the tokens of a text.", reflect.TypeFor[AttentionRequest](), reflect.TypeFor[Attention](), (*Server).attention},
		{"GET", "/v1/reports/{model...}", "Shows what a compression did to a model, as HTML.", nil, nil, (*Server).report},
		{"POST", "/v1/recommend", "Recommends items to a user.", reflect.TypeFor[RecommendRequest](), reflect.TypeFor[Recommendations](), (*Server).recommend},
		{"POST", "/v1/catalogue", "Searches the items that are recommended.", reflect.TypeFor[CatalogueRequest](), reflect.TypeFor[Catalogue](), (*Server).catalogue},
		{"GET", "/healthz", "Answers as long as the server runs.", nil, nil, (*Server).healthy},
		{"GET", "/readyz", "Answers as long as the server takes requests.", nil, nil, (*Server).ready},
		{"GET", "/metrics", "Gives Prometheus what it collects.", nil, nil, (*Server).prometheus},
		{"GET", "/openapi.json", "Describes these endpoints.", nil, nil, (*Server).describe},
		{"GET", "/{$}", "Shows a page to try the models with.", nil, nil, (*Server).page},
	}
}

// route makes the routes.
func (s *Server) route() {
	s.mux = http.NewServeMux()
	for _, e := range endpoints() {
		s.mux.HandleFunc(e.method+" "+e.path, func(w http.ResponseWriter, r *http.Request) {
			if err := e.answer(s, w, r); err != nil && r.Context().Err() == nil {
				if rec, ok := w.(*recorder); !ok || rec.status == 0 {
					if e := refuse(w, err); e.Status >= 500 && !errors.Is(err, errDraining) {
						s.o.Log.Error("request", "request", w.Header().Get("X-Request-Id"), "error", err.Error())
					}
				}
			}
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		for _, e := range endpoints() {
			if e.path == r.URL.Path {
				w.Header().Set("Allow", e.method)
				refuse(w, &Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Message: r.URL.Path + " wants " + e.method})
				return
			}
		}
		refuse(w, &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Message: "there is nothing at " + clip(r.URL.Path) + "; /openapi.json lists what there is"})
	})
}

func (s *Server) card(m *served) ModelCard {
	c := ModelCard{ID: m.Name, Object: "model", Created: s.began.Unix(), OwnedBy: "sparrow", Context: m.context, Report: m.Report != nil}
	if body, ok := m.body(); ok {
		c.Layers, c.Heads = body.NLayer, body.Attention.NHead
	}
	if m.recommender != nil {
		c.Items = m.Model.Model.Dims.Catalogue.Items
	}
	return c
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) error {
	out := ModelList{Object: "list"}
	for _, m := range s.models {
		out.Data = append(out.Data, s.card(m))
	}
	answer(w, http.StatusOK, out)
	return nil
}

func (s *Server) showModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.named(r.PathValue("model"))
	if err == nil {
		answer(w, http.StatusOK, s.card(m))
	}
	return err
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errDraining
	}
	answer(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

func (s *Server) prometheus(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	waiting, running := 0, 0
	for _, m := range s.models {
		a, b := s.count(m)
		waiting, running = waiting+a, running+b
	}
	s.mu.Unlock()
	s.metrics.waiting.Set(float64(waiting))
	s.metrics.running.Set(float64(running))
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}
