package interactions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Fields are what is known of users or of items, by fields: each value has a number, and those of a field follow one another.
type Fields struct {
	Names  []string   `json:"names"`
	Values [][]string `json:"values"` // of each field
	Of     [][]int32  `json:"of"`     // for each user or item and field, [user*len(Names)+field], the numbers of its values
}

// Count is the number of all values.
func (f Fields) Count() int {
	n := 0
	for _, v := range f.Values {
		n += len(v)
	}
	return n
}

// Longest is the largest number of values that are known of one.
func (f Fields) Longest() int {
	longest, n := 0, 0
	for i, of := range f.Of {
		if i%len(f.Names) == 0 {
			n = 0
		}
		n += len(of)
		longest = max(longest, n)
	}
	return longest
}

// Row is what is known of user or item i: for each field the numbers of its values.
func (f Fields) Row(i int) [][]int32 {
	if len(f.Names) == 0 {
		return nil
	}
	return f.Of[i*len(f.Names) : (i+1)*len(f.Names)]
}

// Number is that of a value of a field.
func (f Fields) Number(field, value string) (at int, number int32, err error) {
	from := 0
	for i, name := range f.Names {
		if column, _ := parseField(name); name != field && column.name != field {
			from += len(f.Values[i])
			continue
		}
		column, err := parseField(name)
		if err != nil {
			return 0, 0, err
		}
		value = column.value(value)
		if j := slices.Index(f.Values[i], value); j >= 0 {
			return i, int32(from + j), nil
		}
		return 0, 0, fmt.Errorf("field %s has no value %q; there are %s", field, value, some(f.Values[i]))
	}
	return 0, 0, fmt.Errorf("there is no field %q; there are %s", field, some(f.Names))
}

func some(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:12], ", "), len(names)-12)
	}
	return strings.Join(names, ", ")
}

func (f Fields) all() []string {
	all := slices.Clone(f.Names)
	for _, v := range f.Values {
		all = append(all, v...)
	}
	for _, of := range f.Of {
		all = append(all, fmt.Sprint(of))
	}
	return all
}

// field is a column and what is made of its text.
type field struct {
	name    string
	several bool
	step    float64 // of numbers; 0: none
	first   int     // characters; 0: all
	decade  bool
}

// parseField reads "name", "name[]", "name:10", "name:first2" or "name:decade".
func parseField(text string) (f field, err error) {
	name, how, made := strings.Cut(text, ":")
	f.name, f.several = strings.CutSuffix(name, "[]")
	if f.name == "" {
		return f, errors.New("the name of the column is empty")
	}
	if !made {
		return f, nil
	}
	digits, first := strings.CutPrefix(how, "first")
	n, err := strconv.Atoi(digits)
	switch {
	case how == "decade":
		f.decade = true
	case err != nil || n < 1:
		return f, errors.New("after the colon want a step such as 10, first2 or decade")
	case first:
		f.first = n
	default:
		f.step = float64(n)
	}
	return f, nil
}

// value is what the field makes of a text; "" is a value of its own, which nothing is known by.
func (f field) value(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case f.decade:
		return decadeOf(text)
	case f.first > 0:
		runes := []rune(text)
		return string(runes[:min(f.first, len(runes))])
	case f.step > 0:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return ""
		}
		return strconv.FormatFloat(math.Floor(x/f.step)*f.step, 'f', -1, 64)
	}
	return text
}

// decadeOf is the decade of the last four digits in a row, as in "Heat (1995)".
func decadeOf(text string) string {
	for end := len(text); end >= 4; end-- {
		if strings.Trim(text[end-4:end], "0123456789") == "" && (end == len(text) || !digit(text[end])) && (end == 4 || !digit(text[end-5])) {
			return text[end-4:end-1] + "0"
		}
	}
	return ""
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// parts are the values of a field in a text.
func (f field) parts(text string, spaces bool) []string {
	if !f.several {
		return []string{f.value(text)}
	}
	by := "|"
	switch {
	case spaces:
		by = " "
	case !strings.Contains(text, "|") && strings.Contains(text, ","):
		by = ","
	}
	var all []string
	for _, part := range strings.Split(text, by) {
		if v := f.value(part); v != "" && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// sides reads the files of users and items.
func (s Source) sides(ctx context.Context, d *Dataset) (err error) {
	if s.Users != "" {
		if d.UserFields, _, err = readFields(ctx, s.Users, s.UserFields, d.Users); err != nil {
			return err
		}
	}
	if s.Items != "" {
		if d.ItemFields, d.Titles, err = readFields(ctx, s.Items, s.ItemFields, d.Items); err != nil {
			return err
		}
	}
	return nil
}

// readFields reads what is known of ids, and their titles, if there is such a column.
func readFields(ctx context.Context, path string, names, ids []string) (f Fields, titles []string, err error) {
	t, file, err := openTable(path, false)
	if err != nil {
		return f, nil, err
	}
	defer file.Close()
	fields, columns := make([]field, len(names)), make([]int, len(names))
	for i, name := range names {
		if fields[i], err = parseField(name); err == nil {
			columns[i], err = t.column(fields[i].name)
		}
		if err != nil {
			return f, nil, err
		}
	}
	title := t.named(t.columns, "title", "movie_title", "name", "item_name")
	if t.header == nil && t.columns > 1 {
		title = 1
	}
	if title >= 0 {
		titles = slices.Clone(ids)
	}
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	f = Fields{Names: names, Values: make([][]string, len(names)), Of: make([][]int32, len(ids)*len(names))}
	known := make([]map[string]int32, len(names))
	for i := range known {
		known[i] = map[string]int32{}
	}
	found := 0
	for {
		if err := t.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return f, nil, err
		}
		if err := t.interrupted(ctx); err != nil {
			return f, nil, err
		}
		i, ok := at[text(t.fields[0])]
		if !ok {
			continue
		}
		found++
		if title >= 0 {
			titles[i] = text(t.fields[title])
		}
		for j, x := range fields {
			var of []int32
			for _, v := range x.parts(text(t.fields[columns[j]]), t.several[columns[j]]) {
				n, seen := known[j][v]
				if !seen {
					n = int32(len(f.Values[j]))
					known[j][v] = n
					f.Values[j] = append(f.Values[j], v)
				}
				of = append(of, n)
			}
			f.Of[i*len(names)+j] = of
		}
	}
	if found == 0 {
		return f, nil, fmt.Errorf("data: %s: no line is of one of the %d ids of [data] ratings; want their ids in the first column", path, len(ids))
	}
	from := int32(0)
	for j := range names {
		for i := range ids {
			for k := range f.Of[i*len(names)+j] {
				f.Of[i*len(names)+j][k] += from
			}
		}
		from += int32(len(f.Values[j]))
	}
	return f, titles, nil
}
