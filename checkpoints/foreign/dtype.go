package foreign

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type is how the elements of a tensor are stored: blocks of a fixed number of elements and bytes along the last
// dimension. Formats add their own; types are compared by their address.
type Type struct {
	Name  string // as safetensors and GGUF write it: F32, BF16, Q4_K
	Block int    // elements of a block; 1 for plain types
	Size  int    // bytes of a block

	// Decode writes the values of whole blocks; nil for types that are not read as float32.
	Decode func(dst []float32, src []byte)
	// Encode is its inverse, with rounding; nil for types that are not written from float32.
	Encode func(dst []byte, src []float32)
	// Limit is the largest magnitude that Encode takes, of finite values only; 0: it takes every value, infinities and NaNs too.
	Limit float32
}

// The plain types. Integers of more than 8 bits are read as raw bytes only.
var (
	F64  = &Type{Name: "F64", Block: 1, Size: 8, Decode: decodeF64}
	F32  = &Type{Name: "F32", Block: 1, Size: 4, Decode: decodeF32, Encode: encodeF32}
	F16  = &Type{Name: "F16", Block: 1, Size: 2, Decode: decodeF16, Encode: encodeF16, Limit: 65519}
	BF16 = &Type{Name: "BF16", Block: 1, Size: 2, Decode: decodeBF16, Encode: encodeBF16}
	I8   = &Type{Name: "I8", Block: 1, Size: 1, Decode: decodeI8}
	U8   = &Type{Name: "U8", Block: 1, Size: 1}
	Bool = &Type{Name: "BOOL", Block: 1, Size: 1}
	I16  = &Type{Name: "I16", Block: 1, Size: 2}
	U16  = &Type{Name: "U16", Block: 1, Size: 2}
	I32  = &Type{Name: "I32", Block: 1, Size: 4}
	U32  = &Type{Name: "U32", Block: 1, Size: 4}
	I64  = &Type{Name: "I64", Block: 1, Size: 8}
	U64  = &Type{Name: "U64", Block: 1, Size: 8}
)

// Plain lists the plain types.
func Plain() []*Type {
	return []*Type{F64, F32, F16, BF16, I8, U8, Bool, I16, U16, I32, U32, I64, U64}
}

// MaxDims is how many dimensions a tensor may have, numpy's own limit before version 2.
const MaxDims = 32

// Bytes is what a tensor of this shape takes, or an error for a shape that no file can hold.
func (t *Type) Bytes(shape []int) (int, error) {
	if len(shape) > MaxDims {
		return 0, fmt.Errorf("has %d dimensions; want at most %d", len(shape), MaxDims)
	}
	n, empty := 1, false
	for _, dim := range shape {
		if dim < 0 {
			return 0, fmt.Errorf("has shape %v; want no negative dimension", shape)
		}
		if dim == 0 { // no other dimension is believed for it
			empty = true
			continue
		}
		if n > math.MaxInt/max(t.Size, t.Block)/dim {
			return 0, fmt.Errorf("has shape %v, which is more than memory can address", shape)
		}
		n *= dim
	}
	if empty {
		n = 0
	}
	if t.Block > 1 && (len(shape) == 0 || shape[len(shape)-1]%t.Block != 0) {
		return 0, fmt.Errorf("has shape %v; %s wants rows of a multiple of %d", shape, t.Name, t.Block)
	}
	return n / t.Block * t.Size, nil
}

func decodeF64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func encodeF32(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = Float16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToFloat16(v))
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BFloat16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeBF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToBFloat16(v))
	}
}

func decodeI8(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int8(src[i]))
	}
}
