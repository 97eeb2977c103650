package serve

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sparrow/model/decode"
)

// instruments are what Prometheus collects.
type instruments struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	unknown    prometheus.Counter
	written    prometheus.Counter
	waiting    prometheus.Gauge
	running    prometheus.Gauge
	queued     prometheus.Histogram
	firstToken prometheus.Histogram
	nextToken  prometheus.Histogram
}

// delays are the buckets of times, in seconds: from a step of a small model to a long prompt in a full queue.
var delays = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 120}

func newInstruments() *instruments {
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: delays})
	}
	x := &instruments{
		registry:   prometheus.NewRegistry(),
		requests:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sparrow_requests_total", Help: "Requests answered."}, []string{"endpoint", "status"}),
		unknown:    prometheus.NewCounter(prometheus.CounterOpts{Name: "sparrow_unknown_fields_total", Help: "Fields of requests that were ignored."}),
		written:    prometheus.NewCounter(prometheus.CounterOpts{Name: "sparrow_tokens_total", Help: "Tokens written."}),
		waiting:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "sparrow_queue_length", Help: "Sequences that wait for a slot."}),
		running:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "sparrow_slots_used", Help: "Sequences that have a slot."}),
		queued:     histogram("sparrow_queue_seconds", "Time from a request to its slot."),
		firstToken: histogram("sparrow_first_token_seconds", "Time from a request to its first token."),
		nextToken:  histogram("sparrow_next_token_seconds", "Time between two tokens of a sequence."),
	}
	x.registry.MustRegister(x.requests, x.unknown, x.written, x.waiting, x.running, x.queued, x.firstToken, x.nextToken,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return x
}

// request counts an answer. The endpoint is its pattern, so that no client makes new names.
func (x *instruments) request(pattern string, status int) {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	x.requests.WithLabelValues(pattern, strconv.Itoa(status)).Inc()
}

// guesses counts those of a model's draft.
func (x *instruments) guesses(model string, d *decode.Drafter) {
	counter := func(name, help string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"model": model}},
			func() float64 { return float64(n.Load()) })
	}
	x.registry.MustRegister(counter("sparrow_guesses_total", "Tokens that the model's draft has guessed.", &d.Made),
		counter("sparrow_guesses_right_total", "Guesses of the model's draft that came true.", &d.Right))
}
