package machine

import (
	"fmt"
	"strings"
)

// CacheFits refuses a text whose key/value cache this machine has no memory for.
// Its length is a float64 because a sum of such integers may overflow.
func CacheFits(tokens float64, bytesPerToken int) error {
	if need := tokens * float64(bytesPerToken); need > Memory() {
		return fmt.Errorf("the key/value cache needs %s and this machine has %s", Bytes(need), Bytes(Memory()))
	}
	return nil
}

// Row is one line of a table of memory.
type Row struct {
	Name  string
	Bytes float64
}

// Table writes rows below each other, each number after bound.
func Table(rows []Row, bound string) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-12s %s%9s\n", r.Name, bound, Bytes(r.Bytes))
	}
	return b.String()
}

// Bytes writes a number of bytes in a unit that suits it.
func Bytes(n float64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	n /= 1e3
	for ; n >= 999.5 && len(units) > 1; units = units[1:] {
		n /= 1e3
	}
	switch {
	case n < 99.95:
		return fmt.Sprintf("%.1f %s", n, units[0])
	case n < 99_999.5:
		return fmt.Sprintf("%.0f %s", n, units[0])
	}
	return fmt.Sprintf("%.1e %s", n, units[0])
}

// Memory is the memory of this machine in bytes; where that is not known,
// more than any has.
func Memory() float64 {
	if n := availableMemory(); n > 0 {
		return float64(n)
	}
	return 1 << 48
}

// Text is the memory of this machine as a text.
func Text() string { return Bytes(Memory()) }
