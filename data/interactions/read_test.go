package interactions

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// write makes a file in a folder of the test.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ratings")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// pairs lists what was read in any part, in the order of users and time.
func pairs(d *Dataset) (all []string) {
	for u, user := range d.Users {
		for _, l := range []*Lists{&d.Train, &d.Validation, &d.Test, d.ValidationClicks, d.TestClicks} {
			if l != nil {
				for _, i := range l.Row(u) {
					all = append(all, user+" "+d.Items[i])
				}
			}
		}
	}
	return all
}

// TestFormats: the same interactions are found in every form of a file.
func TestFormats(t *testing.T) {
	for name, text := range map[string]string{
		"tabs":         "7\tb\t5\t30\n7\ta\t1\t10\n8\ta\t4\t20\n",
		"name:type":    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\tb\t5\t30\n7\ta\t1\t10\n8\ta\t4\t20\n",
		"other order":  "timestamp,rating,movieId,userId\n30,5,b,7\n10,1,a,7\n20,4,a,8\n",
		"csv":          "userId,movieId,rating,timestamp\n7,b,5.0,30\n7,\"a\",1.0,10\r\n8,a,4.0,20\n",
		"colons":       "7::b::5::30\n7::a::1::10\n\n8::a::4::20",
		"dates":        "user|item|rating|date\n7|b|5|2020-01-03\n7|a|1|2020-01-01\n8|a|4|2020-01-02\n",
		"twice":        "7\tb\t5\t1\n7\tb\t5\t30\n7\ta\t1\t10\n8\ta\t4\t20\n",
		"byte order":   "\ufeff7\tb\t5\t30\n7\ta\t1\t10\n8\ta\t4\t20\n",
		"no times":     "7 b\n7 a\n8 a\n",
		"low left out": "7\tb\t5\t30\n7\ta\t4\t10\n8\ta\t4\t20\n8\tb\t1\t20\n",
	} {
		s := Default()
		s.Ratings, s.Split, s.ValidationShare = write(t, text), "leave_one_out", 0
		if name == "low left out" {
			s.MinRating = 2
		}
		d, err := s.Read(context.Background())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := pairs(d)
		slices.Sort(got)
		if want := []string{"7 a", "7 b", "8 a"}; !slices.Equal(got, want) {
			t.Errorf("%s: read %q, want %q", name, got, want)
		}
		if name != "no times" && (len(d.Test.Items) != 1 || d.Items[d.Test.Items[0]] != "b") {
			t.Errorf("%s: the test has %v; want b, the last of 7 in time", name, d.Test.Items)
		}
	}
}

// TestRefusals: an error says where, what was found and what was wanted.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		text string
		set  func(*Source)
		want string
	}{
		{"", nil, "the file is empty"},
		{"alone\nmore\n", nil, "1 column; want a user and an item"},
		{"1\t2\t3\t4\n1\t3\n", nil, ":2: 2 columns; want 4 as in the first line"},
		{"1\t2\t3\tsoon\n", nil, `:1: the time is "soon"; want seconds`},
		{"1\t2\t3\t4\n1\t\t3\t4\n", nil, ":2: the id of a user or an item is empty"},
		{"1\t2\t3\t4\n1\t3\tbad\t4\n", func(s *Source) { s.MinRating = 1 }, `:2: the rating is "bad"; want a number`},
		{"1\t2\t3\t4\n", func(s *Source) { s.MinRating = 9 }, "no interaction is left; lower [data] min_rating = 9"},
		{"1\t2\n", func(s *Source) { s.MinRating = 1 }, "has no column of ratings"},
		{"1\t2\t3\t4\n", nil, "leave none to test"},
		{"1\t2\t3\t4\n1\t3\t3\t4\n", func(s *Source) { s.Items, s.ItemFields = s.Ratings, []string{"year"} }, `column "year": the file has no header; want a number from 1 to 4`},
		{"1\t2\t3\t4\n", func(s *Source) { s.Split = "other" }, "split"},
		{"1\t2\t3\t4\n", func(s *Source) { s.UserFields = []string{"age:x"} }, "after the colon want"},
	} {
		s := Default()
		s.Ratings, s.Split, s.ValidationShare = write(t, c.text), "leave_one_out", 0
		if c.set != nil {
			c.set(&s)
		}
		if _, err := s.Read(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestFields: columns of side files become numbers of values, by steps, first characters, decades and several at once.
func TestFields(t *testing.T) {
	s := Default()
	s.Ratings, s.Split, s.ValidationShare = write(t, "7\ta\t1\t1\n7\tb\t1\t2\n8\ta\t1\t3\n8\tb\t1\t4\n"), "leave_one_out", 0
	s.Users = write(t, "user_id:token\tage:token\tzip:token\n8\t34\tV1\n7\t31\t90210\n")
	s.Items = write(t, "movieId,title,genres\nb,\"Heat, The (1995)\",Crime|Drama\na,None,Drama\n")
	s.UserFields, s.ItemFields = []string{"age:10", "zip:first1"}, []string{"genres[]", "title:decade"}
	d, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Fields{Names: s.UserFields, Values: [][]string{{"30"}, {"V", "9"}}, Of: [][]int32{{0}, {2}, {0}, {1}}}); !reflect.DeepEqual(d.UserFields, want) {
		t.Errorf("users: %+v, want %+v", d.UserFields, want)
	}
	if want := (Fields{Names: s.ItemFields, Values: [][]string{{"Crime", "Drama"}, {"1990", ""}}, Of: [][]int32{{1}, {3}, {0, 1}, {2}}}); !reflect.DeepEqual(d.ItemFields, want) {
		t.Errorf("items: %+v, want %+v", d.ItemFields, want)
	}
	if want := []string{"None", "Heat, The (1995)"}; !slices.Equal(d.Titles, want) {
		t.Errorf("titles %q, want %q", d.Titles, want)
	}
	if at, n, err := d.UserFields.Number("age", "38"); err != nil || at != 0 || n != 0 {
		t.Errorf("age 38: field %d, value %d, %v; want that of 30", at, n, err)
	}
	if _, _, err := d.UserFields.Number("age", "99"); err == nil || !strings.Contains(err.Error(), "there are 30") {
		t.Errorf("age 99: %v, want an error that lists the values", err)
	}
}
