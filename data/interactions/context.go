package interactions

import "time"

// contextValues are how many values the fields of a time have.
var contextValues = map[string]int{"weekday": 7, "hour": 24}

// ContextValues is the number of all values of the fields of a time.
func (s Source) ContextValues() (n int) {
	for _, c := range s.Context {
		n += contextValues[c]
	}
	return n
}

// ContextOf are the fields of a time, in seconds since 1970, as [Fields.Row] has those of a user; their numbers begin at 0. Time 0 is
// not known, and has no values.
func (s Source) ContextOf(seconds int64) [][]int32 {
	of := make([][]int32, len(s.Context))
	if seconds == 0 {
		return of
	}
	t, from := time.Unix(seconds, 0).UTC(), 0
	for i, c := range s.Context {
		value := t.Hour()
		if c == "weekday" {
			value = int(t.Weekday())
		}
		of[i] = []int32{int32(from + value)}
		from += contextValues[c]
	}
	return of
}
