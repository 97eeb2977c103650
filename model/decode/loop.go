package decode

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// ErrClosed says that a loop has ended.
var ErrClosed = errors.New("decode: closed")

// Loop owns a Batch and the goroutine that drives it, for many callers.
type Loop struct {
	asks     chan *ask
	stop     chan struct{} // asked to end
	gone     chan struct{} // ended: nobody answers any more
	once     sync.Once
	capacity int
}

// ask is a request with its answers. There is room for all of them, so that the loop
// never waits for a caller.
type ask struct {
	ctx context.Context
	Request
	answers chan answer
}

type answer struct {
	Token
	err error
}

// NewLoop starts to drive a batch, which nobody else may use from now on. queue is how
// many requests may wait beside those that wait in Submit.
func NewLoop(b *Batch, queue int) *Loop {
	l := &Loop{asks: make(chan *ask, queue), stop: make(chan struct{}), gone: make(chan struct{}), capacity: b.capacity}
	go func() {
		defer close(l.gone)
		l.run(b)
	}()
	return l
}

// Close ends the loop, and the sequences under way with ErrClosed, and waits for that.
func (l *Loop) Close() {
	l.once.Do(func() { close(l.stop) })
	<-l.gone
}

// Submit waits for a slot and yields the tokens of a sequence. The caller's loop body
// runs outside the loop, so it may submit more. Leaving it, and the end of ctx, free
// the slot within a step.
func (l *Loop) Submit(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if r.Tokens > l.capacity {
			yield(Token{}, ErrTooLong)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		a := &ask{ctx, r, make(chan answer, max(0, r.Tokens)+1)}
		select {
		case <-l.stop:
			yield(Token{}, ErrClosed)
			return
		default:
		}
		select {
		case l.asks <- a:
		case <-ctx.Done():
			yield(Token{}, ctx.Err())
			return
		case <-l.gone:
			yield(Token{}, ErrClosed)
			return
		}
		for {
			x, err := a.next(l.gone)
			if err != nil {
				yield(Token{}, err)
				return
			}
			if !yield(x, nil) || x.Finish != "" {
				return
			}
		}
	}
}

// next waits for an answer; those that are there come first.
func (a *ask) next(gone <-chan struct{}) (Token, error) {
	select {
	case x := <-a.answers:
		return x.Token, x.err
	default:
	}
	select {
	case x := <-a.answers:
		return x.Token, x.err
	case <-a.ctx.Done():
		return Token{}, a.ctx.Err()
	case <-gone:
		return Token{}, ErrClosed
	}
}

// run answers until it is asked to end.
func (l *Loop) run(b *Batch) {
	live := map[int]*ask{}
	var waiting *ask // got, but there is no slot
	for {
		if len(live) == 0 && waiting == nil {
			select {
			case waiting = <-l.asks:
			case <-l.stop:
				return
			}
		}
		select {
		case <-l.stop:
			return
		default:
		}
		for i, a := range live {
			if a.ctx.Err() != nil {
				b.Release(i)
				delete(live, i)
			}
		}
		waiting = l.admit(b, live, waiting)
		if len(live) == 0 {
			continue
		}
		tokens, err := b.Step(context.Background())
		for _, t := range tokens {
			live[t.Slot].answers <- answer{Token: t, err: t.Err}
			if t.Finish != "" {
				b.Release(t.Slot)
				delete(live, t.Slot)
			}
		}
		if err != nil {
			for i, a := range live {
				a.answers <- answer{err: err}
				b.Release(i)
				delete(live, i)
			}
		}
	}
}

// admit gives slots to those who wait, as long as there are some, and returns who has
// got none.
func (l *Loop) admit(b *Batch, live map[int]*ask, waiting *ask) *ask {
	for {
		if waiting == nil {
			select {
			case waiting = <-l.asks:
			default:
				return nil
			}
		}
		if waiting.ctx.Err() != nil {
			waiting = nil
			continue
		}
		i, err := b.Admit(waiting.Request)
		switch {
		case err == nil:
			live[i] = waiting
			if waiting.Begun != nil {
				waiting.Begun()
			}
		case errors.Is(err, ErrFull):
			return waiting
		default:
			waiting.answers <- answer{err: err}
		}
		waiting = nil
	}
}
