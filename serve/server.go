package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sparrow/model/decode"
	"sparrow/saved"
)

// Options of a server. The zero value is that of a single user.
type Options struct {
	Slots       int   // sequences that a model continues at once; 0: 4
	Queue       int   // requests that may wait for a slot of a model; 0: 256
	Context     int   // tokens of a prompt and what follows; 0: the model's, 4,096 at most
	PrefixBytes int64 // of keys and values that are kept for prompts that begin alike, of each model; 0: 256 MB, below 0: none
	MaxBody     int64 // bytes of a request; 0: 8 MB

	Keys []string     // API keys, of which a client must send one; none: any or no key will do
	Log  *slog.Logger // of requests; nil: none
}

// Defaults of Options.
const (
	defaultSlots   = 4
	defaultQueue   = 256
	defaultContext = 4096
	defaultPrefix  = 256 << 20
	defaultBody    = 8 << 20
)

// defaultPatience ends the answer to a client that takes nothing of it, and frees its slots.
const defaultPatience = 30 * time.Second

func (o Options) complete() Options {
	for _, x := range []struct {
		p      *int
		preset int
	}{{&o.Slots, defaultSlots}, {&o.Queue, defaultQueue}} {
		if *x.p == 0 {
			*x.p = x.preset
		}
	}
	switch {
	case o.PrefixBytes == 0:
		o.PrefixBytes = defaultPrefix
	case o.PrefixBytes < 0:
		o.PrefixBytes = 0
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultBody
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Model is a model and the name by which clients ask for it. The server uses it until it is closed; it does not close it.
type Model struct {
	Name  string
	Model *saved.Model

	// Draft, if not nil, guesses what Model writes while that answers one request alone: a smaller model with the same tokens, such as
	// a compressed version of it. Guesses save time and change nothing.
	Draft *saved.Model

	// Steer, if not nil, finds what a feature adds to the model, by a divergence or by a strength; with neither by a divergence of 0.25
	// nats. Several requests may ask at once.
	Steer func(feature string, kl, alpha *float64) (decode.Addition, error)

	// Search, if not nil, finds the items of an index that the model ranks first. An error about the request matches task.ErrUsage.
	// Several requests may ask at once.
	Search func(ctx context.Context, query string, k, budget int, method string) (SearchResults, error)

	// Report, if not nil, is an HTML page on the model's compression that stands alone; the page at / shows it.
	Report []byte
}

// Server is an http.Handler over models. It may be used by any number of goroutines.
type Server struct {
	o       Options
	models  []*served
	mux     *http.ServeMux
	metrics *instruments
	began   time.Time
	keys    [][sha256.Size]byte

	patience time.Duration // for a client that takes nothing of its answer

	mu       sync.Mutex
	draining bool
	jobs     map[*job]struct{}
	idle     sync.Cond // of mu: a job has ended
}

// New prepares to serve models. It starts a goroutine for each that continues texts, which Close ends.
func New(o Options, models ...Model) (_ *Server, err error) {
	o = o.complete()
	if o.Slots < 1 || o.Queue < 0 || o.Context < 0 || o.MaxBody < 1 {
		return nil, fmt.Errorf("serve: %d slots, a queue of %d, a context of %d tokens and bodies of %d bytes; want none below 0, and a slot and a byte at least", o.Slots, o.Queue, o.Context, o.MaxBody)
	}
	if len(models) == 0 {
		return nil, errors.New("serve: no models to serve")
	}
	s := &Server{o: o, metrics: newInstruments(), began: time.Now(), patience: defaultPatience, jobs: map[*job]struct{}{}}
	s.idle.L = &s.mu
	for _, key := range o.Keys {
		s.keys = append(s.keys, sha256.Sum256([]byte(key)))
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	for _, m := range models {
		if m.Name == "" || slices.ContainsFunc(s.models, func(x *served) bool { return x.Name == m.Name }) {
			return nil, fmt.Errorf("serve: a second model has the name %q; give each a name of its own", m.Name)
		}
		x, err := s.serve(m)
		if err != nil {
			return nil, fmt.Errorf("serve: model %s: %w", m.Name, err)
		}
		s.models = append(s.models, x)
	}
	s.route()
	return s, nil
}

// Handler serves models with what Options has by itself, for a service that mounts it.
func Handler(models ...Model) (http.Handler, error) { return New(Options{}, models...) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	id := requestID(r)
	rec := &recorder{ResponseWriter: w, patience: s.patience}
	rec.Header().Set("X-Request-Id", id)
	r.Body = http.MaxBytesReader(rec, r.Body, s.o.MaxBody)
	defer func() {
		if x := recover(); x != nil {
			if x == http.ErrAbortHandler {
				panic(x)
			}
			s.o.Log.Error("panic", "request", id, "path", r.URL.Path, "panic", fmt.Sprint(x))
			if rec.status == 0 {
				refuse(rec, errors.New("a mistake of the server; it is in its log"))
			}
		}
		_, pattern := s.mux.Handler(r)
		s.metrics.request(pattern, rec.status)
		s.o.Log.Info("request", "request", id, "method", r.Method, "path", r.URL.Path, "status", rec.status, "seconds", time.Since(began).Seconds(), "bytes", rec.bytes)
	}()
	if strings.HasPrefix(r.URL.Path, "/v1/") && !s.allowed(r) {
		refuse(rec, unauthorized())
		return
	}
	s.mux.ServeHTTP(rec, r)
}

// allowed tells whether a request has a key. All keys are compared, in constant time.
func (s *Server) allowed(r *http.Request) bool {
	if len(s.keys) == 0 {
		return true
	}
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum, ok := sha256.Sum256([]byte(given)), 0
	for _, key := range s.keys {
		ok |= subtle.ConstantTimeCompare(sum[:], key[:])
	}
	return bearer && ok == 1
}

// requestID is the client's own if it is a plain word, else a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}) {
		return id
	}
	return newID("req-")
}

func newID(prefix string) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

// named is the model that a request asks for.
func (s *Server) named(name string) (*served, error) {
	names := make([]string, len(s.models))
	for i, m := range s.models {
		if names[i] = m.Name; m.Name == name {
			return m, nil
		}
	}
	if name == "" {
		return nil, badRequest("model", "model is missing; there are %q", names)
	}
	return nil, noModel(name, names)
}

// Drain refuses new requests and those that wait, and waits for those that run until ctx is done; then they end where they
// are, with the finish reason "length". It returns how many it has cut.
func (s *Server) Drain(ctx context.Context) (cut int) {
	s.mu.Lock()
	s.draining = true
	for j := range s.jobs {
		if !j.begun {
			j.cancel(errDraining)
		}
	}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for j := range s.jobs {
			j.cancel(errCut)
			cut++
		}
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.jobs) > 0 {
		s.idle.Wait()
	}
	return cut
}

// Busy is how many sequences wait or run.
func (s *Server) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}

// Close ends all that runs, and the goroutines of the models.
func (s *Server) Close() {
	for _, m := range s.models {
		m.close()
	}
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	patience time.Duration
	status   int
	bytes    int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(r.patience)) // tests' recorders have none
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
