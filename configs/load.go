package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"

	"github.com/BurntSushi/toml"
)

// maxBytes bounds a config: it is written by hand, and the parser recurses into nested arrays.
const maxBytes = 1 << 20

// Options of reading a config.
type Options struct {
	Lists Lists    // the kinds that a [OneOf] may become
	Set   []string // overrides, "a.b=v"

	// Old are keys that earlier versions wrote of every table of some kind, whatever the kind ("model.linear.rank"), with
	// their default values of then. The document may have such a key where its kind has none: at that value it is dropped, at
	// any other it is an unknown key. Beside an override of the kind, one that sets such a key to that value is
	// dropped, with the document's key whatever its value: so commands change kinds that tables had the keys of. At a key that
	// chooses a kind, it is the name of the kind that an empty text stood for. It is for stored configs, not for those that people
	// write.
	Old map[string]any

	// Check, if not nil, is asked at last for what is wrong with the whole, beside what the structs report of themselves.
	Check func(r *Report)

	// Encoded says that the document is what Encode wrote, so that its keys need no check: those that a kind which Set
	// chooses does not have are dropped.
	Encoded bool
}

// Load reads the TOML file at path and the overrides into dst, a pointer to a struct that already holds the defaults. It
// returns [Problems] for whatever is wrong with the config, and dst is then in an undefined state.
func Load(path string, dst any, o Options) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Problems{{File: path, Message: "no such file"}}
	case err != nil:
		return Problems{{File: path, Message: cause(err)}}
	case info.IsDir():
		return Problems{{File: path, Message: "is a folder; want a TOML file"}}
	case !info.Mode().IsRegular(): // a pipe may never end
		return Problems{{File: path, Message: "is a pipe or a device; want a TOML file"}}
	case info.Size() > maxBytes:
		return Problems{{File: path, Message: fmt.Sprintf("is %d bytes; want a config of at most %d", info.Size(), maxBytes)}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Problems{{File: path, Message: cause(err)}}
	}
	return Decode(path, text, dst, o)
}

// cause is err without the operation and path that package os puts in front.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// Decode is [Load] for a text in memory; name stands for the file in messages. An error that is not [Problems] means
// that dst is not a pointer to a struct this package can fill: a programmer's mistake, not the user's.
func Decode(name string, text []byte, dst any, o Options) error {
	root, err := target(dst, o.Lists)
	if err != nil {
		return err
	}
	if len(text) > maxBytes {
		return Problems{{File: name, Message: fmt.Sprintf("is %d bytes; want a config of at most %d", len(text), maxBytes)}}
	}
	if p, deep := tooDeep(name, string(text)); deep {
		return Problems{p}
	}
	var raw map[string]any
	if _, err := toml.Decode(string(text), &raw); err != nil {
		return Problems{syntaxProblem(name, err)}
	}
	d := &decoder{
		file: name, root: root, lines: scanLines(string(text)),
		overrides: map[string]string{}, rank: map[string]int{}, rejected: map[string]bool{},
		lists: o.Lists, set: slices.Clone(o.Set), old: o.Old, encoded: o.Encoded, unknownKind: map[string]bool{},
	}
	d.assign(root, raw, nil)
	for i, s := range o.Set {
		d.rank[overrideName(s)] = i + 1
	}
	for i := range d.set {
		d.kindFirst(d.set, i)
		d.override(d.set[i])
	}
	d.validate(root, nil)
	if o.Check != nil {
		o.Check(&Report{d: d})
	}
	if len(d.problems) > 0 {
		return sorted(d.problems, d.rank)
	}
	return nil
}

// target checks that dst is a pointer to a struct whose fields this package can fill, and returns the struct.
func target(dst any, l Lists) (reflect.Value, error) {
	ptr := reflect.ValueOf(dst)
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() || ptr.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, fmt.Errorf("configs: destination is %T; want a non-nil pointer to a struct", dst)
	}
	return ptr.Elem(), checkType(ptr.Elem().Type(), ptr.Elem().Type().String(), l, nil)
}

// syntaxProblem turns the TOML parser's error into a problem with its line.
func syntaxProblem(name string, err error) Problem {
	var parseErr toml.ParseError
	if errors.As(err, &parseErr) {
		return Problem{File: name, Line: max(1, parseErr.Position.Line), Message: "invalid TOML: " + parseErr.Message}
	}
	return Problem{File: name, Line: 1, Message: "invalid TOML: " + err.Error()}
}
