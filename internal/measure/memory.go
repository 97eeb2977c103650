package measure

import (
	"os"
	"strconv"
	"strings"
)

// PeakBytes is the largest resident memory of this process so far; 0 where the system does not tell.
func PeakBytes() int { return status("VmHWM:") }

// ResidentBytes is the resident memory of this process; 0 where the system does not tell.
func ResidentBytes() int { return status("VmRSS:") }

// status is a field of Linux' /proc/self/status in bytes.
func status(field string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, field)
		if !ok {
			continue
		}
		kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		if err != nil {
			return 0
		}
		return kb * 1024
	}
	return 0
}
