package gguf

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/foreign/foreigntest"
)

// hostile is a file under construction: whatever the test says is in it.
type hostile struct{ b []byte }

func file(tensors, pairs uint64) *hostile {
	h := &hostile{[]byte("GGUF")}
	return h.u32(3).u64(tensors).u64(pairs)
}

func (h *hostile) u32(n uint32) *hostile      { h.b = le.AppendUint32(h.b, n); return h }
func (h *hostile) u64(n uint64) *hostile      { h.b = le.AppendUint64(h.b, n); return h }
func (h *hostile) text(s string) *hostile     { h.b = appendText(h.b, s); return h }
func (h *hostile) raw(n int) *hostile         { h.b = append(h.b, make([]byte, n)...); return h }
func (h *hostile) align(n uint32) *hostile    { return h.text(alignmentKey).u32(kindUint32).u32(n) }
func (h *hostile) end(alignment int) *hostile { return h.raw(padded(len(h.b), alignment) - len(h.b)) }

// tensor adds a tensor's head, the innermost dimension first.
func (h *hostile) tensor(name string, number uint32, offset uint64, dims ...uint64) *hostile {
	h.text(name).u32(uint32(len(dims)))
	for _, d := range dims {
		h.u64(d)
	}
	return h.u32(number).u64(offset)
}

func TestHostileFiles(t *testing.T) {
	nested := file(0, 1).text("k").u32(kindArray)
	for range 1 << 16 {
		nested.u32(kindArray).u64(1)
	}
	wide := file(0, 1).text("k").u32(kindArray).u32(kindArray).u64(1 << 16)
	for range 1 << 16 {
		wide.u32(kindUint8).u64(0)
	}
	for name, test := range map[string]struct {
		h    *hostile
		want string
	}{
		"empty":                  {&hostile{}, "does not begin with GGUF"},
		"only the magic":         {&hostile{[]byte("GGUF")}, "ends within"},
		"version 1":              {(&hostile{[]byte("GGUF")}).u32(1), "version 1; want 2 or 3"},
		"version 4":              {(&hostile{[]byte("GGUF")}).u32(4), "version 4; want 2 or 3"},
		"big-endian":             {(&hostile{[]byte("GGUF")}).u32(3 << 24), "big-endian"},
		"2^63 tensors":           {file(1<<63, 0).raw(100), "9223372036854775808 tensors"},
		"2^63 pairs":             {file(0, 1<<63).raw(100), "9223372036854775808 metadata pairs"},
		"tensors after pairs":    {file(3, 1).align(32).text("x").raw(13), "says that it has 3 tensors"},
		"key of 2^63 bytes":      {file(0, 1).u64(1 << 63).raw(100), "9223372036854775808 bytes of text"},
		"key too long":           {file(0, 1).text(strings.Repeat("k", 1<<16)).u32(kindUint8).raw(1), "want 1 to 65535"},
		"empty key":              {file(0, 1).text("").u32(kindUint8).raw(50), "want 1 to 65535"},
		"string of 2^64 - 1":     {file(0, 1).text("k").u32(kindString).u64(math.MaxUint64).raw(50), "bytes of text"},
		"array of 2^63":          {file(0, 1).text("k").u32(kindArray).u32(kindUint8).u64(1 << 63).raw(50), "elements in an array"},
		"array of 2^61 floats":   {file(0, 1).text("k").u32(kindArray).u32(kindFloat64).u64(1 << 61).raw(50), "elements in an array"},
		"strings that are short": {file(0, 1).text("k").u32(kindArray).u32(kindString).u64(7).raw(50), "elements in an array"},
		"cut array":              {file(0, 1).text("k").u32(kindArray).u32(kindString).u64(2).text("a").text("b").cut(1), "bytes of text"},
		"nested arrays":          {nested, "nested deeper"},
		"array of arrays":        {wide, ""},
		"unknown kind":           {file(0, 1).text("k").u32(13).raw(50), "unknown type 13"},
		"array of unknown kind":  {file(0, 1).text("k").u32(kindArray).u32(99).u64(1).raw(50), "unknown type 99"},
		"bool of 2":              {file(0, 1).text("k").u32(kindBool).u32(2), "truth value 2"},
		"pair twice":             {file(0, 2).align(32).align(64), "twice"},
		"alignment 0":            {file(0, 1).align(0), "want a power of 2"},
		"alignment 3":            {file(0, 1).align(3), "want a power of 2"},
		"alignment 2^31":         {file(0, 1).align(1 << 31), "want a power of 2"},
		"alignment of text":      {file(0, 1).text(alignmentKey).u32(kindString).text(strings.Repeat("a", 1<<20)), "want a power of 2"},
		"alignment of 64 bits":   {file(0, 1).text(alignmentKey).u32(kindUint64).u64(32), "want a power of 2"},
		"unnamed tensor":         {file(1, 0).tensor("", 0, 0, 1).raw(64), "want 1 to 1000 bytes"},
		"long name":              {file(1, 0).tensor(strings.Repeat("n", 1<<20), 0, 0, 1).end(32).raw(4), "want 1 to 1000 bytes"},
		"5 dimensions":           {file(1, 0).tensor("a", 0, 0, 1, 1, 1, 1, 1).end(32).raw(4), "5 dimensions"},
		"2^31 dimensions":        {file(1, 0).text("a").u32(1 << 31).raw(100), "2147483648 dimensions"},
		"dimension of 2^63":      {file(1, 0).tensor("a", 0, 0, 1<<63).end(32), "a dimension of"},
		"overflow":               {file(1, 0).tensor("a", 0, 0, 1<<32, 1<<32).end(32), "more than memory can address"},
		"overflow past zero":     {file(1, 0).tensor("a", 0, 0, 1<<62, 1<<62, 0).end(32), "more than memory can address"},
		"unknown type":           {file(1, 0).tensor("a", 1000, 0, 1).end(32).raw(4), "type 1000 (unknown)"},
		"a type not read":        {file(1, 0).tensor("a", 10, 0, 256).end(32).raw(84), "type 10 (Q2_K)"},
		"no whole blocks":        {file(1, 0).tensor("a", 8, 0, 33).end(32).raw(68), "multiple of 32"},
		"scalar of blocks":       {file(1, 0).tensor("a", 8, 0).end(32).raw(34), "multiple of 32"},
		"past the end":           {file(1, 0).tensor("a", 0, 0, 100).end(32).raw(399), "takes 400 bytes from 0 on, and there are 399"},
		"no data":                {file(1, 0).tensor("a", 0, 0, 1), "takes 4 bytes"},
		"offset of 2^64 - 32":    {file(1, 0).tensor("a", 0, math.MaxUint64-31, 1).end(32).raw(4), "want 0"},
		"overlap":                {file(2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 8).end(32).raw(64), "want 64"},
		"same place":             {file(2, 0).tensor("a", 0, 0, 1).tensor("b", 0, 0, 1).end(32).raw(64), "want 32"},
		"hole":                   {file(2, 0).tensor("a", 0, 0, 1).tensor("b", 0, 64, 1).end(32).raw(68), "want 32"},
		"unaligned":              {file(2, 0).tensor("a", 0, 0, 1).tensor("b", 0, 4, 1).end(32).raw(68), "want 32"},
		"duplicate":              {file(2, 0).tensor("a", 0, 0, 1).tensor("a", 0, 32, 1).end(32).raw(64), "two tensors have the name"},
		"cut tensors":            {file(2, 0).tensor("a", 0, 0, 1).tensor("b", 0, 32, 1).cut(1), "ends within"},
		"the last one's padding": {file(1, 0).tensor("a", 0, 0, 1).end(32).raw(4), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			foreigntest.Bounded(t, len(test.h.b), func() { _, err = Parse(test.h.b) })
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v; want %q", err, test.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// cut takes n bytes from the end.
func (h *hostile) cut(n int) *hostile { h.b = h.b[:len(h.b)-n]; return h }

func TestWriteRefuses(t *testing.T) {
	one := func(name string, dtype *foreign.Type, shape []int, v ...float32) []foreign.Source {
		return []foreign.Source{{Name: name, Shape: shape, Type: dtype, Values: func() ([]float32, error) { return v, nil }}}
	}
	nan := make([]float32, 32)
	nan[7] = float32(math.NaN())
	for name, test := range map[string]struct {
		metadata Metadata
		tensors  []foreign.Source
		want     string
	}{
		"duplicate":      {nil, append(one("a", foreign.F32, nil, 1), one("a", foreign.F32, nil, 1)...), "two tensors"},
		"long name":      {nil, one(strings.Repeat("n", 64), foreign.F32, nil, 1), "llama.cpp allows 63"},
		"5 dimensions":   {nil, one("a", foreign.F32, []int{1, 1, 1, 1, 1}, 1), "GGUF allows 4"},
		"unknown type":   {nil, one("a", &foreign.Type{Name: "mine", Block: 1, Size: 1, Encode: Q8_0.Encode}, []int{1}, 1), "GGUF has no type mine"},
		"not finite":     {nil, one("a", Q8_0, []int{32}, nan...), "cannot hold"},
		"not written":    {nil, one("a", Q5_K, []int{256}), "not written from float32"},
		"odd row":        {nil, one("a", Q8_0, []int{33}), "multiple of 32"},
		"key twice":      {Metadata{{"a", true}, {"a", true}}, nil, "there twice"},
		"no value":       {Metadata{{"a", nil}}, nil, "no value"},
		"a Go int":       {Metadata{{"a", 1}}, nil, "type int"},
		"an odd array":   {Metadata{{"a", []any{1}}}, nil, "type int"},
		"deep arrays":    {Metadata{{"a", []any{[]any{[]any{[]any{[]uint8{}}}}}}}, nil, "nested deeper"},
		"alignment of 5": {Metadata{{alignmentKey, uint32(5)}}, nil, "power of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Write(&bytes.Buffer{}, test.metadata, test.tensors)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
}
