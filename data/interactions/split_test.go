package interactions

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
)

// grid is a set of 40 users who have chosen between 5 and 24 of 30 items, in the order of time.
func grid(t *testing.T, split string, seed uint64) *Dataset {
	t.Helper()
	var text strings.Builder
	for u := range 40 {
		for k := range 5 + u%20 {
			fmt.Fprintf(&text, "u%d\ti%d\t1\t%d\n", u, (7*u+k*(u%3+1))%30, 1000*u+k)
		}
	}
	s := Default()
	s.Ratings, s.Split, s.SplitSeed = write(t, text.String()), split, seed
	d, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSplits: each interaction is in one part, in the shares and by the rule of the split, which its seed chooses.
func TestSplits(t *testing.T) {
	all := pairs(grid(t, "ratio", 1))
	for _, split := range []string{"ratio", "leave_one_out", "cold_users", "cold_items"} {
		d := grid(t, split, 1)
		if got := pairs(d); len(got) != len(all) {
			t.Errorf("%s: %d interactions in all parts, want %d", split, len(got), len(all))
		}
		seen := map[string]bool{}
		for _, p := range pairs(d) {
			if seen[p] {
				t.Errorf("%s: %s is in two parts", split, p)
			}
			seen[p] = true
		}
		again, other := grid(t, split, 1), grid(t, split, 2)
		if fmt.Sprint(again.Test) != fmt.Sprint(d.Test) || again.SHA256 != d.SHA256 {
			t.Errorf("%s: the same seed gives another split", split)
		}
		if split != "leave_one_out" && fmt.Sprint(other.Test.Items) == fmt.Sprint(d.Test.Items) || other.SHA256 == d.SHA256 {
			t.Errorf("%s: another seed gives the same split or hash", split)
		}
		for u := range d.Users {
			tests, n := len(d.Test.Row(u)), len(d.Test.Row(u))+len(d.Validation.Row(u))+len(d.Train.Row(u))
			switch split {
			case "ratio":
				if want := int(math.Round(0.2 * float64(n))); tests != want {
					t.Errorf("ratio: user %d: %d of %d in the test, want %d", u, tests, n, want)
				}
			case "leave_one_out":
				if tests != 1 || len(d.Validation.Row(u)) != 1 {
					t.Errorf("leave_one_out: user %d: %d to test, %d to validate, want 1 each", u, tests, len(d.Validation.Row(u)))
					continue
				}
				for i, at := range d.Train.Times[d.Train.Start[u]:d.Train.Start[u+1]] {
					if at >= d.Validation.Times[u] || d.Validation.Times[u] >= d.Test.Times[u] {
						t.Errorf("leave_one_out: user %d: item %d at %d is not before validation and test", u, i, at)
					}
				}
			case "cold_users":
				if tests > 0 && (len(d.Train.Row(u)) > 0 || len(d.Validation.Row(u)) > 0) {
					t.Errorf("cold_users: user %d of the test was trained on", u)
				}
				if tests > 0 && tests-len(d.TestClicks.Row(u)) > 1 {
					t.Errorf("cold_users: user %d: %d to find after %d clicks, want halves", u, tests, len(d.TestClicks.Row(u)))
				}
				for _, at := range d.TestClicks.Times[d.TestClicks.Start[u]:d.TestClicks.Start[u+1]] {
					if at >= d.Test.Times[d.Test.Start[u]] {
						t.Errorf("cold_users: user %d: a click after what is to be found", u)
					}
				}
			case "cold_items":
				for _, i := range d.Train.Row(u) {
					if d.TestItems[i] || d.ValidationItems[i] {
						t.Errorf("cold_items: item %d was trained on", i)
					}
				}
				for _, i := range d.Test.Row(u) {
					if !d.TestItems[i] {
						t.Errorf("cold_items: the test has item %d, which is not new", i)
					}
				}
			}
		}
	}
}

// TestFewest: users and items with fewer interactions are dropped until none is left, and the others have new numbers.
func TestFewest(t *testing.T) {
	s := Default()
	s.Ratings = write(t, "a x 1\na y 1\nb x 1\nb y 1\nc x 1\nc z 1\n") // z has one, then c has one
	s.MinCount, s.TestShare, s.ValidationShare = 2, 0.5, 0
	d, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(d.Users, d.Items) != "[a b] [x y]" || len(pairs(d)) != 4 {
		t.Errorf("kept %v, %v, %v; want a, b, x, y with 4 interactions", d.Users, d.Items, pairs(d))
	}
}
