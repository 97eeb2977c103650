package saved

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"sparrow/model"
)

// ErrClosed is what a closed model answers.
var ErrClosed = errors.New("saved: the model is closed")

// pool lends sessions over one set of weights: as many as there are cores, made when they are first wanted.
type pool struct {
	once sync.Once
	free chan *model.Session // nil: one that is still to be made

	mu     sync.Mutex
	calls  int // under way
	closed bool
	idle   sync.Cond // of mu: a call has ended
}

// Hold keeps the model open until release is called, for a caller that uses its weights beside Do. Calls may be nested: a
// model that is being closed refuses the inner one and waits for the outer.
func (l *Model) Hold() (release func(), err error) {
	p := &l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle.L = &p.mu
	if p.closed {
		return nil, ErrClosed
	}
	p.calls++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls--
		p.idle.Broadcast()
	}, nil
}

// Close waits for calls under way, which must not call it; later ones are [ErrClosed].
func (l *Model) Close() error {
	p := &l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle.L = &p.mu
	p.closed = true
	for p.calls > 0 {
		p.idle.Wait()
	}
	return nil
}

// Do lends a session to f, for a call that ends; any number of goroutines may call it. f must not call Do again, which
// could wait for what it holds itself, and must hand nothing out that a later run of the session changes. It waits for a
// free session until ctx is done. A closed model is [ErrClosed].
func (l *Model) Do(ctx context.Context, f func(*model.Session) error) error {
	release, err := l.Hold()
	if err != nil {
		return err
	}
	defer release()
	p := &l.pool
	p.once.Do(func() {
		n := runtime.GOMAXPROCS(0)
		p.free = make(chan *model.Session, n)
		for range n {
			p.free <- nil
		}
	})
	var s *model.Session
	select {
	case s = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.free <- s }()
	if s == nil {
		if s, err = l.Session.Another(); err != nil {
			return err
		}
	}
	return f(s)
}
