package cost

import (
	"fmt"
	"strings"
)

// Account is memory as SLTrain's paper counts it (Han et al. 2024, table 2): 16-bit weights, two 16-bit moments each,
// 64-bit indices; gradients and activations are left out. It is arithmetic: no run of this program stores such numbers.
type Account struct {
	Name       string // of the network
	Parameters int
	Sparse     int // of those, entries of S
}

// Weights is in bytes: 16 bits a parameter.
func (a Account) Weights() int { return 2 * a.Parameters }

// Moments is in bytes: two of 16 bits a parameter.
func (a Account) Moments() int { return 2 * 2 * a.Parameters }

// Indices is in bytes: 64 bits an entry of S.
func (a Account) Indices() int { return 8 * a.Sparse }

// Total is in bytes.
func (a Account) Total() int { return a.Weights() + a.Moments() + a.Indices() }

// AccountTable shows networks side by side, each line after prefix.
func AccountTable(prefix string, accounts ...Account) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sthe paper's accounting: arithmetic with bfloat16 values and 64-bit indices, without gradients and\n", prefix)
	fmt.Fprintf(&b, "%sactivations; this program trains in float32 and stores 32-bit indices\n", prefix)
	fmt.Fprintf(&b, "%s  %-12s %10s %9s %9s %9s %9s\n", prefix, "", "parameters", "weights", "moments", "indices", "total")
	for _, a := range accounts {
		text := func(n int) string { return fmt.Sprintf("%.3f GB", float64(n)/1e9) }
		fmt.Fprintf(&b, "%s  %-12s %9.1fM %9s %9s %9s %9s\n", prefix, a.Name, float64(a.Parameters)/1e6, text(a.Weights()), text(a.Moments()), text(a.Indices()), text(a.Total()))
	}
	return b.String()
}
