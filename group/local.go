package group

import (
	"errors"
	"sync"
)

// Together are n groups of one process, one a rank, for as many goroutines: n is a power of two. What holds for them holds for
// processes.
func Together(n int) ([]*Group, error) {
	inboxes := make([][]chan []byte, n) // [to][from]
	gone := &ending{done: make(chan struct{})}
	for i := range inboxes {
		inboxes[i] = make([]chan []byte, n)
		for j := range inboxes[i] {
			inboxes[i][j] = make(chan []byte, 1)
		}
	}
	groups := make([]*Group, n)
	for i := range groups {
		var err error
		if groups[i], err = over(func() (link, error) { return &local{inboxes: inboxes, at: i, gone: gone}, nil }); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// local is a link between goroutines.
type local struct {
	inboxes [][]chan []byte
	at      int
	gone    *ending
}

// ending is when one has aborted.
type ending struct {
	once sync.Once
	done chan struct{}
}

// errGone is what ranks see whose peer has aborted.
var errGone = errors.New("group: another rank is gone")

func (l *local) rank() int { return l.at }
func (l *local) size() int { return len(l.inboxes) }

func (l *local) swap(peer int, send, receive []byte) error {
	select {
	case l.inboxes[peer][l.at] <- append([]byte(nil), send...):
	case <-l.gone.done:
		return errGone
	}
	select {
	case got := <-l.inboxes[l.at][peer]:
		if len(got) != len(receive) {
			return errors.New("group: a message has another length than the one that is waited for")
		}
		copy(receive, got)
		return nil
	case <-l.gone.done:
		return errGone
	}
}

func (l *local) abort(int) { l.gone.once.Do(func() { close(l.gone.done) }) }

func (l *local) close() error { return nil }
