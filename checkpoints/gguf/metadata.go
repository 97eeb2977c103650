package gguf

import "math"

// Pair is one entry of the metadata. A Value is a uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32,
// float64, bool or string, a slice of one of these, or a []any of slices where arrays are nested.
type Pair struct {
	Key   string
	Value any
}

// Metadata is a file's metadata in its order.
type Metadata []Pair

// Get is the value of a key, nil where it is missing.
func (m Metadata) Get(key string) any {
	for _, p := range m {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Text is the string that a key has.
func (m Metadata) Text(key string) (string, bool) {
	text, ok := m.Get(key).(string)
	return text, ok
}

// Bool is the truth value that a key has.
func (m Metadata) Bool(key string) (value, ok bool) {
	value, ok = m.Get(key).(bool)
	return value, ok
}

// Int is the whole number that a key has, of whatever integer type.
func (m Metadata) Int(key string) (int, bool) {
	switch n := m.Get(key).(type) {
	case uint8:
		return int(n), true
	case int8:
		return int(n), true
	case uint16:
		return int(n), true
	case int16:
		return int(n), true
	case uint32:
		return int(n), uint64(n) <= math.MaxInt
	case int32:
		return int(n), true
	case uint64:
		return int(n), n <= math.MaxInt
	case int64:
		return int(n), n >= math.MinInt && n <= math.MaxInt
	}
	return 0, false
}

// Float is the number with a fraction that a key has.
func (m Metadata) Float(key string) (float64, bool) {
	switch x := m.Get(key).(type) {
	case float32:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// The types of values in a file (enum gguf_metadata_value_type).
const (
	kindUint8 = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)
