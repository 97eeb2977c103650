package train

import (
	"runtime"
	"runtime/debug"
)

// minGarbage is how many bytes of garbage are worth a collection, at least.
const minGarbage = 8 << 20

// garbagePercent is how much garbage a process of total bytes may hold, in percent of what is alive. By Go's default,
// 100, the little that each step leaves would add up until the process is twice its size. Nearly all that is alive are
// arrays of numbers, which a collection does not look into, so that collecting more often costs next to nothing.
func garbagePercent(total int) int { return min(100, max(2, 100*minGarbage/max(total, 1))) }

// garbageAllowance is garbagePercent in bytes.
func garbageAllowance(total int) int { return total / 100 * garbagePercent(total) }

// limitGarbage collects what is garbage now, such as the text that a tokenizer was trained on, and then as
// garbagePercent says until restore is called.
func (m MemoryPlan) limitGarbage() (restore func()) {
	runtime.GC()
	before := debug.SetGCPercent(garbagePercent(m.Total()))
	return func() { debug.SetGCPercent(before) }
}
