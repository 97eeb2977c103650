package serve

import (
	"errors"
	"net/http"

	"sparrow/model"
	"sparrow/task"
)

// RecommendRequest asks for items that a user chooses next.
type RecommendRequest struct {
	Model   string            `json:"model" doc:"name of a recommender"`
	User    string            `json:"user,omitempty" doc:"id of a user of the data"`
	Items   []string          `json:"items,omitempty" doc:"ids or titles of items that he likes"`
	Fields  map[string]string `json:"fields,omitempty" doc:"what is known of him, as in {\"age\": \"31\"}"`
	N       *int              `json:"n,omitempty" doc:"items to recommend; 10 if it is absent"`
	Explain *bool             `json:"explain,omitempty" doc:"whether to tell what speaks for each item; false if it is absent"`
}

// Recommendations are the best items, the best first.
type Recommendations struct {
	Model   string             `json:"model" doc:"that recommended"`
	Results []task.Recommended `json:"results" doc:"the best first"`
}

// CatalogueRequest searches the items of a recommender.
type CatalogueRequest struct {
	Model string `json:"model" doc:"name of a recommender"`
	Query string `json:"query" doc:"part of a title or an id"`
	N     *int   `json:"n,omitempty" doc:"items at most; 20 if it is absent"`
}

// Catalogue are items that were found.
type Catalogue struct {
	Model   string      `json:"model" doc:"that was searched"`
	Results []task.Item `json:"results" doc:"those that begin with the query first"`
}

// Bounds of what a request for recommendations may have.
const (
	maxRecommended = 1000
	maxLiked       = 10000
)

// recommend answers /v1/recommend.
func (s *Server) recommend(w http.ResponseWriter, r *http.Request) error {
	var q RecommendRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.recommends(q.Model)
	if err != nil {
		return err
	}
	if q.User == "" && len(q.Items) == 0 && len(q.Fields) == 0 {
		return badRequest("items", "nobody to recommend to: want user, items or fields")
	}
	if len(q.Items) > maxLiked {
		return badRequest("items", "%d items; want %d at most", len(q.Items), maxLiked)
	}
	n, err := integer("n", q.N, 10, 1, maxRecommended)
	if err != nil {
		return err
	}
	wish := task.Wish{User: q.User, Items: q.Items, Fields: q.Fields, N: n, Why: q.Explain != nil && *q.Explain}
	out := Recommendations{Model: m.Name}
	err = m.Model.Model.Do(r.Context(), func(s *model.Session) (err error) {
		out.Results, err = m.recommender.Recommend(r.Context(), s, wish)
		return err
	})
	if errors.Is(err, task.ErrUsage) {
		return badRequest("items", "%v", err)
	} else if err != nil {
		return err
	}
	answer(w, http.StatusOK, out)
	return nil
}

// catalogue answers /v1/catalogue.
func (s *Server) catalogue(w http.ResponseWriter, r *http.Request) error {
	var q CatalogueRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.recommends(q.Model)
	if err != nil {
		return err
	}
	n, err := integer("n", q.N, 20, 1, maxRecommended)
	if err == nil {
		answer(w, http.StatusOK, Catalogue{m.Name, m.recommender.Find(q.Query, n)})
	}
	return err
}

// recommends is the model of that name, if it recommends.
func (s *Server) recommends(name string) (*served, error) {
	m, err := s.named(name)
	if err == nil && m.recommender == nil {
		err = cannot(m.Name, "recommends nothing")
	}
	return m, err
}
