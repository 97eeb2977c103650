package metrics

import "testing"

func TestShort(t *testing.T) {
	cases := map[float64]string{0.4: "0", 999.4: "999", 999.6: "1.0k", 12345: "12.3k", 999_949: "999.9k", 999_950: "1.0M", 2.55e6: "2.5M"}
	for x, want := range cases {
		if got := Short(x); got != want {
			t.Errorf("Short(%v) = %q, want %q", x, got, want)
		}
	}
}
