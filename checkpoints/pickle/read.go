package pickle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sparrow/checkpoints/foreign"
)

// Open maps a file that torch.save wrote, or the files that an index (ending in .json) names. Errors match
// [foreign.ErrFile].
func Open(path string) (*foreign.Set, error) {
	if strings.HasSuffix(path, ".json") {
		return foreign.OpenShards(path, openOne)
	}
	return openOne(path)
}

func openOne(path string) (*foreign.Set, error) { return foreign.Open(path, Parse) }

// Parse reads a whole file that lies in memory; the tensors share it.
func Parse(data []byte) (*foreign.Set, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return parseZip(data)
	case bytes.HasPrefix(data, []byte{opProto, 2, opLong1, byte(len(magic))}):
		return parseStream(data)
	}
	return nil, errors.New("is neither a zip nor a stream of pickles that torch.save writes")
}

// set makes tensors of the dict that a file holds.
func set(value any) (*foreign.Set, error) {
	d, ok := value.(*dict)
	if !ok {
		return nil, fmt.Errorf("holds %s; want a dict of tensors", describe(value))
	}
	tensors := make([]foreign.Tensor, 0, len(d.keys))
	for i, key := range d.keys {
		name, isText := key.(string)
		t, isTensor := d.values[i].(*tensor)
		if !isText || !isTensor {
			return nil, fmt.Errorf("holds %s under the key %s; want a dict of tensors", describe(d.values[i]), describe(key))
		}
		view, err := foreign.NewView(name, t.storage.dtype, t.shape, t.strides, t.offset, t.storage.data)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, view)
	}
	return foreign.NewSet(tensors, nil)
}

// storages are those that a file's tensors refer to, by key; their bytes are found when all are known.
type storages map[string]*storage

// find is the storage of a persistent id.
func (all storages) find(id tuple) (*storage, error) {
	s, err := newStorage(id)
	if err != nil {
		return nil, err
	}
	if old, ok := all[s.key]; ok {
		if old.dtype != s.dtype || old.size != s.size {
			return nil, fmt.Errorf("refers to storage %s in two ways", foreign.Quote(s.key))
		}
		return old, nil
	}
	all[s.key] = s
	return s, nil
}

// newStorage takes ("storage", type, key, device, elements), in the stream form with None after it.
func newStorage(id tuple) (*storage, error) {
	if len(id) == 6 && id[5] == nil {
		id = id[:5]
	}
	if len(id) != 5 || id[0] != "storage" {
		return nil, fmt.Errorf("refers to %s; want storage, type, key, device and size", describe(id))
	}
	name, isName := id[1].(global)
	dtype, isType := storageTypes[name]
	key, isKey := id[2].(string)
	size, isSize := id[4].(int64)
	if !isName || !isType || !isKey || !isSize || size < 0 {
		return nil, fmt.Errorf("refers to a storage of %s with key %s and size %s", describe(id[1]), describe(id[2]), describe(id[4]))
	}
	if int64(int(size)) != size {
		return nil, fmt.Errorf("refers to a storage of %d elements", size)
	}
	return &storage{dtype: dtype, key: key, size: int(size)}, nil
}

// parseZip reads NAME/data.pkl and the storages NAME/data/KEY, which lie in the zip as they are.
func parseZip(data []byte) (*foreign.Set, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("is not a whole zip: %w", err)
	}
	entries := make(map[string]*zip.File, len(archive.File))
	prefix, found := "", false
	for _, f := range archive.File {
		if _, twice := entries[f.Name]; twice {
			return nil, fmt.Errorf("the zip holds %s twice", foreign.Quote(f.Name))
		}
		entries[f.Name] = f
		if p, ok := strings.CutSuffix(f.Name, "/data.pkl"); ok && !found {
			prefix, found = p+"/", true
		}
	}
	if !found {
		return nil, errors.New("the zip holds no data.pkl: torch.save did not write it")
	}
	read := func(name string) ([]byte, error) {
		f, ok := entries[prefix+name]
		if !ok {
			return nil, fmt.Errorf("the zip holds no %s", foreign.Quote(prefix+name))
		}
		return stored(data, f)
	}
	if _, ok := entries[prefix+"byteorder"]; ok {
		if order, err := read("byteorder"); err != nil || string(order) != "little" {
			return nil, errors.New("is not little-endian")
		}
	}
	pickled, err := read("data.pkl")
	if err != nil {
		return nil, err
	}
	all := storages{}
	value, _, err := run(pickled, all.find)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s := all[key]
		s.data, err = read("data/" + key)
		if err == nil && len(s.data)/s.dtype.Size < s.size {
			err = fmt.Errorf("storage %s has %d bytes; want %d of %s", foreign.Quote(key), len(s.data), s.size, s.dtype.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	return set(value)
}

// stored are the bytes of an entry that is not compressed.
func stored(data []byte, f *zip.File) ([]byte, error) {
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return nil, fmt.Errorf("the zip holds %s compressed, which torch.save does not do", foreign.Quote(f.Name))
	}
	at, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("the zip's %s: %w", foreign.Quote(f.Name), err)
	}
	if at < 0 || at > int64(len(data)) || f.UncompressedSize64 > uint64(int64(len(data))-at) {
		return nil, fmt.Errorf("the zip's %s has %d bytes, which are not in the file", foreign.Quote(f.Name), f.UncompressedSize64)
	}
	return data[at : at+int64(f.UncompressedSize64)], nil
}

// magic is the number that the stream form begins with, 0x1950a86a20f9469cfc6c.
var magic = []byte{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}

// streamVersion is that of the stream form, the only one there was.
const streamVersion = 1001

// parseStream reads five pickles: the magic number, the version, what machine wrote it, the dict, the storages' keys.
// After them lie, for each key, the number of elements and the elements.
func parseStream(data []byte) (*foreign.Set, error) {
	next := func(persistent func(tuple) (*storage, error)) (any, error) {
		value, n, err := run(data, persistent)
		if err == nil {
			data = data[n:]
		}
		return value, err
	}
	none := func(tuple) (*storage, error) { return nil, errors.New("refers to a storage where there is none") }
	number, err := next(none)
	if err != nil {
		return nil, err
	}
	if n, ok := number.(long); !ok || !bytes.Equal(n, magic) {
		return nil, fmt.Errorf("begins with %s; want torch's magic number", describe(number))
	}
	if version, err := next(none); err != nil || version != any(int64(streamVersion)) {
		return nil, fmt.Errorf("has version %s of the stream form; want %d (%v)", describe(version), streamVersion, err)
	}
	system, err := next(none)
	if err != nil {
		return nil, err
	}
	if d, ok := system.(*dict); !ok || d.get("little_endian") != true {
		return nil, errors.New("is not little-endian")
	}
	all := storages{}
	value, err := next(all.find)
	if err != nil {
		return nil, err
	}
	keys, err := next(none)
	if err != nil {
		return nil, err
	}
	if err := all.fill(keys, data); err != nil {
		return nil, err
	}
	return set(value)
}

// fill gives the storages their bytes, which lie in the order of keys.
func (all storages) fill(keys any, data []byte) error {
	l, ok := keys.(*list)
	if !ok || len(l.items) != len(all) {
		return fmt.Errorf("lists its storages in %s; want a list of %d", describe(keys), len(all))
	}
	for _, item := range l.items {
		key, _ := item.(string)
		s, ok := all[key]
		if !ok || s.data != nil {
			return fmt.Errorf("lists the storage %s, which no tensor has or which was listed before", describe(item))
		}
		if len(data) < 8 || binary.LittleEndian.Uint64(data) != uint64(s.size) || s.size > (len(data)-8)/s.dtype.Size {
			return fmt.Errorf("ends within storage %s, or its size is not %d", foreign.Quote(key), s.size)
		}
		n := 8 + s.size*s.dtype.Size
		s.data, data = data[8:n:n], data[n:]
	}
	return nil
}

// get is the value of a key of text, nil if there is none.
func (d *dict) get(key string) any {
	for i, k := range d.keys {
		if k == any(key) {
			return d.values[i]
		}
	}
	return nil
}
