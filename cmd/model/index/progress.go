package index

import (
	"math"
	"os"
	"time"

	"sparrow/metrics/progress"
)

// patience is how long a command may take before it shows its progress.
const patience = 2 * time.Second

// pairsProgress shows how far something is, if it takes long.
type pairsProgress struct {
	unit  string
	began time.Time
	first int // done when it began to count
	shown *progress.Progress
}

func (p *pairsProgress) step(done, total int) {
	if p.began.IsZero() {
		p.began, p.first = time.Now(), done
	}
	took := time.Since(p.began)
	if p.shown == nil {
		if took < patience {
			return
		}
		p.shown = progress.New(os.Stderr, total, p.first)
		p.shown.Plain()
		p.shown.Counts(p.unit)
	}
	p.shown.Step(done, math.NaN(), float64(done-p.first)/took.Seconds())
}

func (p *pairsProgress) close() {
	if p.shown != nil {
		p.shown.Close()
	}
}
