package serve

import (
	"errors"
	"net/http"

	"sparrow/task"
)

// SearchRequest asks for the items of an index that a model ranks first.
type SearchRequest struct {
	Model  string `json:"model" doc:"name of a model that has an index"`
	Query  string `json:"query" doc:"what is searched"`
	K      *int   `json:"k,omitempty" doc:"items to find; 10 if it is absent"`
	Budget *int   `json:"budget,omitempty" doc:"pairs that the model may score; 100 if it is absent"`
	Method string `json:"method,omitempty" doc:"adacur, anncur, axn, rerank-dense, rerank-bm25, rerank-mean, fixed or exact; adacur if it is absent"`
}

// SearchResults are the items that were found, the best first.
type SearchResults struct {
	Model   string        `json:"model" doc:"that ranked"`
	Calls   int           `json:"calls" doc:"pairs that it took"`
	Results []SearchedHit `json:"results" doc:"the best first"`
}

// SearchedHit is an item that was found.
type SearchedHit struct {
	ID    string  `json:"id,omitempty" doc:"of the item, if it has one"`
	Text  string  `json:"text" doc:"of the item"`
	Score float64 `json:"score" doc:"by the model, higher is better"`
}

// Bounds of a search.
const (
	maxFound  = 1000
	maxBudget = 100000
)

// search answers /v1/search.
func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	var q SearchRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	if m.Search == nil {
		return cannot(m.Name, "has no index to search")
	}
	if q.Query == "" {
		return badRequest("query", "query is missing or empty")
	}
	k, err := integer("k", q.K, 10, 1, maxFound)
	if err != nil {
		return err
	}
	budget, err := integer("budget", q.Budget, max(100, k), 1, maxBudget)
	if err != nil {
		return err
	}
	if q.Method == "" {
		q.Method = "adacur"
	}
	out, err := m.Search(r.Context(), q.Query, k, budget, q.Method)
	if errors.Is(err, task.ErrUsage) {
		return badRequest("method", "%v", err)
	} else if err != nil {
		return err
	}
	out.Model = m.Name
	answer(w, http.StatusOK, out)
	return nil
}
