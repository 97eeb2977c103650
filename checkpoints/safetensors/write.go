package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
)

// WriteFile writes tensors of plain types as a safetensors file, atomically, and metadata, which transformers wants to
// hold "format": "pt". Equal tensors give equal bytes, those of Python's safetensors: the widest types come first, then
// names in order. The values of one tensor at a time are asked for.
func WriteFile(path string, tensors []foreign.Source, metadata map[string]string) error {
	return checkpoints.StreamFileAtomic(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

// Write is [WriteFile] for any writer.
func Write(w io.Writer, tensors []foreign.Source, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b foreign.Source) int {
		if a.Type != b.Type {
			return slices.Index(order, a.Type) - slices.Index(order, b.Type)
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := header(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// order is that of the types in a file: falling size, so that each tensor is aligned.
var order = []*foreign.Type{
	foreign.U64, foreign.I64, foreign.F64, foreign.F32, foreign.U32, foreign.I32, foreign.BF16, foreign.F16, foreign.U16,
	foreign.I16, foreign.I8, foreign.U8, foreign.Bool,
}

func header(tensors []foreign.Source, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"__metadata__":{`)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(&b, key)
			b.WriteByte(':')
			writeText(&b, metadata[key])
		}
		b.WriteByte('}')
	}
	at := 0
	seen := map[string]bool{}
	for _, t := range tensors {
		size, err := t.Check()
		switch {
		case err != nil:
			return nil, err
		case seen[t.Name] || t.Name == "__metadata__":
			return nil, fmt.Errorf("two tensors have the name %s", foreign.Quote(t.Name))
		case !slices.Contains(order, t.Type):
			return nil, fmt.Errorf("tensor %s: safetensors has no type %s", foreign.Quote(t.Name), t.Type.Name)
		}
		seen[t.Name] = true
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		writeText(&b, t.Name)
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, t.Type.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ","), "[]"), at, at+size)
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes; the format allows %d", b.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), nil
}

// writeText writes a JSON string without HTML's escapes.
func writeText(b *bytes.Buffer, text string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always encodes
	b.Truncate(b.Len() - 1)
}
