package checkpoints

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Arrays returns the arrays of an npz file in their order, verified.
func (c *Checkpoint) Arrays(file string) ([]Array, error) {
	f, err := c.find(file)
	if err != nil {
		return nil, err
	}
	arrays := make([]Array, len(f.Entries))
	err = c.readArrays(f, func(i int, e Entry) any {
		dt, _ := dtypeNamed(e.DType)
		arrays[i] = Array{e.Name, slices.Clone(e.Shape), newData(dt, e.elements())}
		return arrays[i].Data
	})
	if err != nil {
		return nil, err
	}
	return arrays, nil
}

// ReadInto fills the arrays in dst, by name, from an npz file: straight into their Data, which must have the file's
// shape and type. The names must be the same on both sides. Everything that is missing, unused or different is
// reported in one error, before anything is read; the arrays are untouched by an error unless the disk fails between
// verifying and reading.
func (c *Checkpoint) ReadInto(file string, dst map[string]Array) error {
	f, err := c.find(file)
	if err != nil {
		return err
	}
	var problems []string
	for _, e := range f.Entries {
		a, ok := dst[e.Name]
		if !ok {
			problems = append(problems, fmt.Sprintf("unused: %q %s is in the file, nothing takes it", e.Name, describe(e.DType, e.Shape)))
		} else if problem := misfit(e, a); problem != "" {
			problems = append(problems, fmt.Sprintf("mismatch: %q: %s", e.Name, problem))
		}
	}
	for _, name := range absent(f, dst) {
		dt, _, _ := typeOf(dst[name].Data)
		problems = append(problems, fmt.Sprintf("missing: %q %s is not in the file", name, describe(dt.name, dst[name].Shape)))
	}
	if len(problems) > 0 {
		return failf(nil, "%s: %d arrays do not fit; want the checkpoint of the same model:\n  %s",
			c.path(file), len(problems), strings.Join(problems, "\n  "))
	}
	return c.readArrays(f, func(_ int, e Entry) any { return dst[e.Name].Data })
}

// Match fills the arrays in dst whose name, shape and type an npz file has, and returns the names: those loaded, those
// of dst that are missing (a different shape or type counts as missing), and those of the file that are unused. Each
// list is sorted.
func (c *Checkpoint) Match(file string, dst map[string]Array) (loaded, missing, unused []string, err error) {
	f, err := c.find(file)
	if err != nil {
		return nil, nil, nil, err
	}
	missing = absent(f, dst)
	for _, e := range f.Entries {
		a, ok := dst[e.Name]
		switch {
		case ok && misfit(e, a) == "":
			loaded = append(loaded, e.Name)
		case ok:
			missing = append(missing, e.Name)
			unused = append(unused, e.Name)
		default:
			unused = append(unused, e.Name)
		}
	}
	sort.Strings(loaded)
	sort.Strings(missing)
	sort.Strings(unused)
	err = c.readArrays(f, func(_ int, e Entry) any {
		if _, ok := slices.BinarySearch(loaded, e.Name); ok {
			return dst[e.Name].Data
		}
		return nil
	})
	return loaded, missing, unused, err
}

// absent lists the names of dst that the file does not have, sorted.
func absent(f File, dst map[string]Array) []string {
	have := make(map[string]bool, len(f.Entries))
	for _, e := range f.Entries {
		have[e.Name] = true
	}
	var names []string
	for name := range dst {
		if !have[name] {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// misfit says why an entry cannot be read into a, or "".
func misfit(e Entry, a Array) string {
	dt, n, ok := typeOf(a.Data)
	switch {
	case !ok:
		return fmt.Sprintf("cannot read into %T", a.Data)
	case dt.name != e.DType || !slices.Equal(a.Shape, e.Shape):
		return fmt.Sprintf("the file has %s, want %s", describe(e.DType, e.Shape), describe(dt.name, a.Shape))
	case n != e.elements():
		return fmt.Sprintf("the destination has %d elements; want %d for shape %v", n, e.elements(), e.Shape)
	}
	return ""
}

// readArrays verifies an npz file and reads each array into the slice that place returns for it; nil skips the array.
func (c *Checkpoint) readArrays(f File, place func(i int, e Entry) any) error {
	file, err := c.openVerified(f)
	if err != nil {
		return err
	}
	defer file.Close()
	archive, err := openNpz(file, f.Size, f.Entries)
	if err != nil {
		return failf(err, "%s: %s: not an npz file of this program", c.path(f.Name), err)
	}
	buf := make([]byte, min(chunk, f.Size))
	for i, e := range f.Entries {
		data := place(i, e)
		if data == nil {
			continue
		}
		if err := readEntry(archive.File[i], e, data, buf); err != nil {
			return failf(err, "%s: entry %q: %s; %s", c.path(f.Name), e.Name, err, c.advice())
		}
	}
	return nil
}
