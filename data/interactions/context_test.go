package interactions

import (
	"fmt"
	"testing"
)

// TestContext: the fields of a time are its weekday and hour in UTC, in the order of the config; of no time there are none.
func TestContext(t *testing.T) {
	s := Default()
	s.Context = []string{"hour", "weekday"}
	if got := fmt.Sprint(s.ContextOf(881250949)); got != "[[15] [28]]" || s.ContextValues() != 31 { // Thursday, 1997-12-04 15:55:49
		t.Errorf("fields %s of %d values, want hour 15 and, after 24 hours, weekday 4", got, s.ContextValues())
	}
	if got := fmt.Sprint(s.ContextOf(0)); got != "[[] []]" {
		t.Errorf("of no time: %s", got)
	}
}
