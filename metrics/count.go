package metrics

import "fmt"

// Count writes a number of things as 12.3k or 1.2M.
func Count(n int) string { return Short(float64(n)) }

// Short writes 12345 as 12.3k.
func Short(x float64) string {
	switch {
	case x >= 999_950:
		return fmt.Sprintf("%.1fM", x/1e6)
	case x >= 999.5:
		return fmt.Sprintf("%.1fk", x/1e3)
	}
	return fmt.Sprintf("%.0f", x)
}
