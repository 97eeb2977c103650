package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"sparrow/checkpoints/foreign"
)

// scanner reads numbers and strings from a file's head. The first error stays, and everything after it is zero.
type scanner struct {
	data []byte
	at   int
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *scanner) left() int { return len(s.data) - s.at }

// bytes are the next n; nil after an error.
func (s *scanner) bytes(n int) []byte {
	if s.err == nil && n > s.left() {
		s.err = errors.New("ends within its head")
	}
	if s.err != nil {
		return nil
	}
	s.at += n
	return s.data[s.at-n : s.at]
}

func (s *scanner) uint8() uint8 {
	if b := s.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (s *scanner) uint16() uint16 {
	if b := s.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (s *scanner) uint32() uint32 {
	if b := s.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (s *scanner) uint64() uint64 {
	if b := s.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (s *scanner) bool() bool {
	b := s.uint8()
	if b > 1 {
		s.fail("has the truth value %d; want 0 or 1", b)
	}
	return b == 1
}

// count is a number of things of which each takes at least least bytes: no more than the rest of the file can hold.
func (s *scanner) count(what string, least int) int {
	n := s.uint64()
	if s.err == nil && n > uint64(s.left()/least) {
		s.fail("says that it has %d %s, which its %d bytes cannot hold", n, what, len(s.data))
		return 0
	}
	return int(n)
}

func (s *scanner) text() string { return string(s.bytes(s.count("bytes of text", 1))) }

// maxNesting is how deep arrays may be nested; files of llama.cpp have no nested ones.
const maxNesting = 4

// value reads a value of a kind, an array at the given depth.
func (s *scanner) value(kind uint32, depth int) any {
	switch kind {
	case kindUint8:
		return s.uint8()
	case kindInt8:
		return int8(s.uint8())
	case kindUint16:
		return s.uint16()
	case kindInt16:
		return int16(s.uint16())
	case kindUint32:
		return s.uint32()
	case kindInt32:
		return int32(s.uint32())
	case kindFloat32:
		return math.Float32frombits(s.uint32())
	case kindBool:
		return s.bool()
	case kindString:
		return s.text()
	case kindArray:
		return s.array(depth + 1)
	case kindUint64:
		return s.uint64()
	case kindInt64:
		return int64(s.uint64())
	case kindFloat64:
		return math.Float64frombits(s.uint64())
	}
	s.fail("has a value of the unknown type %d", kind)
	return nil
}

func (s *scanner) array(depth int) any {
	if depth > maxNesting {
		s.fail("has arrays nested deeper than %d", maxNesting)
		return nil
	}
	switch kind := s.uint32(); kind {
	case kindUint8:
		return slice(s, 1, s.uint8)
	case kindInt8:
		return slice(s, 1, func() int8 { return int8(s.uint8()) })
	case kindUint16:
		return slice(s, 2, s.uint16)
	case kindInt16:
		return slice(s, 2, func() int16 { return int16(s.uint16()) })
	case kindUint32:
		return slice(s, 4, s.uint32)
	case kindInt32:
		return slice(s, 4, func() int32 { return int32(s.uint32()) })
	case kindFloat32:
		return slice(s, 4, func() float32 { return math.Float32frombits(s.uint32()) })
	case kindBool:
		return slice(s, 1, s.bool)
	case kindString:
		return slice(s, 8, s.text)
	case kindArray:
		return slice(s, 12, func() any { return s.array(depth + 1) })
	case kindUint64:
		return slice(s, 8, s.uint64)
	case kindInt64:
		return slice(s, 8, func() int64 { return int64(s.uint64()) })
	case kindFloat64:
		return slice(s, 8, func() float64 { return math.Float64frombits(s.uint64()) })
	default:
		s.fail("has an array of the unknown type %d", kind)
		return nil
	}
}

// slice reads an array's length and its elements, of at least least bytes each.
func slice[T any](s *scanner, least int, next func() T) []T {
	n := s.count("elements in an array", least)
	if s.err != nil {
		return nil
	}
	all := make([]T, n)
	for i := range all {
		if all[i] = next(); s.err != nil {
			return nil
		}
	}
	return all
}

// maxKey is the format's own limit.
const maxKey = 1<<16 - 1

func (s *scanner) pair() Pair {
	key := s.text()
	if s.err == nil && (key == "" || len(key) > maxKey) {
		s.fail("has the metadata key %s; want 1 to %d bytes", foreign.Quote(key), maxKey)
	}
	p := Pair{Key: key, Value: s.value(s.uint32(), 0)}
	if s.err != nil && s.at > 0 && key != "" {
		s.err = fmt.Errorf("metadata %s: %w", foreign.Quote(key), s.err)
	}
	return p
}
