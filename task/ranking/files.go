package ranking

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"sparrow/data/interactions"
	"sparrow/recommend"
	"sparrow/task"
)

// Files that a checkpoint keeps of the data: ids, titles and fields, and what each user has.
const (
	catalogueFile    = "catalogue.json"
	interactionsFile = "interactions.bin"
)

// files are those of a checkpoint.
func (t *Task) files() map[string][]byte {
	if t.kept == nil {
		text, err := json.Marshal(t.catalogue)
		if err != nil {
			panic(err) // strings and numbers always are text
		}
		t.kept = map[string][]byte{catalogueFile: text, interactionsFile: pack(pack(nil, t.train), t.held)}
	}
	return t.kept
}

// restore reads what a checkpoint keeps.
func (t *Task) restore(files task.Files) error {
	text, err := files.File(catalogueFile)
	if err != nil {
		return err
	}
	c := &interactions.Catalogue{}
	if err := json.Unmarshal(text, c); err != nil {
		return fmt.Errorf("%s: %s: %w", files.Dir(), catalogueFile, err)
	}
	if err := check(c); err != nil {
		return fmt.Errorf("%s: %s: %w", files.Dir(), catalogueFile, err)
	}
	b, err := files.File(interactionsFile)
	if err != nil {
		return err
	}
	t.kept = map[string][]byte{catalogueFile: text, interactionsFile: b}
	if t.train, b, err = unpack(b, len(c.Users), len(c.Items)); err == nil {
		t.held, b, err = unpack(b, len(c.Users), len(c.Items))
	}
	if err == nil && len(b) > 0 {
		err = fmt.Errorf("%d bytes too many", len(b))
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", files.Dir(), interactionsFile, err)
	}
	t.catalogue = c
	return nil
}

// check refuses a catalogue whose parts do not fit.
func check(c *interactions.Catalogue) error {
	if len(c.Users) == 0 || len(c.Items) == 0 || c.Titles != nil && len(c.Titles) != len(c.Items) {
		return fmt.Errorf("%d users, %d items, %d titles; want users, items and a title of each or none", len(c.Users), len(c.Items), len(c.Titles))
	}
	for _, f := range []struct {
		interactions.Fields
		n int
	}{{c.UserFields, len(c.Users)}, {c.ItemFields, len(c.Items)}} {
		count := f.Count()
		if len(f.Values) != len(f.Names) || len(f.Of) != f.n*len(f.Names) {
			return fmt.Errorf("%d fields of %d values and %d rows; want the same of each", len(f.Names), len(f.Values), len(f.Of))
		}
		for _, of := range f.Of {
			for _, v := range of {
				if v < 0 || int(v) >= count {
					return fmt.Errorf("value %d of %d", v, count)
				}
			}
		}
	}
	return nil
}

// pack appends the length of each row and then all items, in 32 bits each.
func pack(b []byte, s recommend.Sets) []byte {
	for u := range s.Rows() {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Row(u))))
	}
	for _, i := range s.Items {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	return b
}

// unpack reads what pack wrote, and returns the rest.
func unpack(b []byte, rows, columns int) (recommend.Sets, []byte, error) {
	s := recommend.Sets{Start: make([]int, rows+1), Columns: columns}
	if len(b) < 4*rows {
		return s, nil, fmt.Errorf("%d bytes; want the lengths of %d rows", len(b), rows)
	}
	for u := range rows {
		s.Start[u+1] = s.Start[u] + int(binary.LittleEndian.Uint32(b[4*u:]))
		if s.Start[u+1] > math.MaxInt32 {
			return s, nil, fmt.Errorf("%d items", s.Start[u+1])
		}
	}
	b = b[4*rows:]
	n := s.Start[rows]
	if len(b) < 4*n {
		return s, nil, fmt.Errorf("%d bytes; want %d items", len(b), n)
	}
	s.Items = make([]int32, n)
	for u := range rows {
		for j := s.Start[u]; j < s.Start[u+1]; j++ {
			i := binary.LittleEndian.Uint32(b[4*j:])
			if int(i) >= columns || j > s.Start[u] && int32(i) <= s.Items[j-1] {
				return s, nil, fmt.Errorf("item %d of user %d; want ascending ones below %d", i, u, columns)
			}
			s.Items[j] = int32(i)
		}
	}
	return s, b[4*n:], nil
}
