package train

import "sparrow/internal/machine"

// garbageAllowance is machine.GarbagePercent in bytes.
func garbageAllowance(total int) int { return total / 100 * machine.GarbagePercent(total) }

// limitGarbage is machine.LimitGarbage of the plan.
func (m MemoryPlan) limitGarbage() (restore func()) { return machine.LimitGarbage(m.Total()) }
