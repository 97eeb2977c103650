package gguf

import (
	"fmt"

	"sparrow/checkpoints/foreign"
)

// The quantized types. A block has a scale d, kept as a half; the K types have blocks of 256 in parts of 16 or 32 with
// scales of their own, in 6 or 8 bits. All are read; those with Encode are written.
var (
	Q4_0 = &foreign.Type{Name: "Q4_0", Block: 32, Size: 18, Decode: decodeQ4_0, Encode: encodeQ4_0, Limit: maxHalf}
	Q4_1 = &foreign.Type{Name: "Q4_1", Block: 32, Size: 20, Decode: decodeQ4_1}
	Q5_0 = &foreign.Type{Name: "Q5_0", Block: 32, Size: 22, Decode: decodeQ5_0, Encode: encodeQ5_0, Limit: maxHalf}
	Q5_1 = &foreign.Type{Name: "Q5_1", Block: 32, Size: 24, Decode: decodeQ5_1}
	Q8_0 = &foreign.Type{Name: "Q8_0", Block: 32, Size: 34, Decode: decodeQ8_0, Encode: encodeQ8_0, Limit: maxHalf}
	Q4_K = &foreign.Type{Name: "Q4_K", Block: 256, Size: 144, Decode: decodeQ4_K, Encode: encodeQ4_K, Limit: maxHalf}
	Q5_K = &foreign.Type{Name: "Q5_K", Block: 256, Size: 176, Decode: decodeQ5_K}
	Q6_K = &foreign.Type{Name: "Q6_K", Block: 256, Size: 210, Decode: decodeQ6_K, Encode: encodeQ6_K, Limit: maxHalf}
)

// maxHalf is the largest half: no scale of smaller values is beyond it.
const maxHalf = 65504

// numbers are those that stand for the types in a file (enum ggml_type).
var numbers = map[uint32]*foreign.Type{
	0: foreign.F32, 1: foreign.F16, 2: Q4_0, 3: Q4_1, 6: Q5_0, 7: Q5_1, 8: Q8_0, 12: Q4_K, 13: Q5_K, 14: Q6_K,
	24: foreign.I8, 25: foreign.I16, 26: foreign.I32, 27: foreign.I64, 28: foreign.F64, 30: foreign.BF16,
}

// unread are the names of types that this package does not know how to read, for its messages.
var unread = map[uint32]string{
	9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
	21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func typeNumbered(n uint32) (*foreign.Type, error) {
	if t, ok := numbers[n]; ok {
		return t, nil
	}
	name, ok := unread[n]
	if !ok {
		name = "unknown"
	}
	return nil, fmt.Errorf("is of type %d (%s); want F32, F16, BF16, F64, an integer, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K", n, name)
}

func numberOf(t *foreign.Type) (uint32, bool) {
	for n, known := range numbers {
		if known == t {
			return n, true
		}
	}
	return 0, false
}
