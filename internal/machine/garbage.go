package machine

import (
	"runtime"
	"runtime/debug"
)

// minGarbage is how many bytes of garbage are worth a collection, at least.
const minGarbage = 8 << 20

// GarbagePercent is how much garbage a process of total bytes may hold, in percent of what is alive. By Go's default,
// 100, the little that each step leaves would add up until the process is twice its size. Nearly all that is alive are
// arrays of numbers, which a collection does not look into, so that collecting more often costs next to nothing.
func GarbagePercent(total int) int { return min(100, max(2, 100*minGarbage/max(total, 1))) }

// LimitGarbage collects what is garbage now, such as the text that a tokenizer was trained on, and then as
// GarbagePercent says until restore is called.
func LimitGarbage(total int) (restore func()) {
	runtime.GC()
	before := debug.SetGCPercent(GarbagePercent(total))
	return func() { debug.SetGCPercent(before) }
}
