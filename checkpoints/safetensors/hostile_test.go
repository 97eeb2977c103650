package safetensors

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/foreign/foreigntest"
)

// file is a safetensors file of a header and n bytes of values.
func file(header string, n int) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), make([]byte, n)...)
}

func TestHostileFiles(t *testing.T) {
	one := func(name, dtype, shape, offsets string) string {
		return fmt.Sprintf(`"%s":{"dtype":"%s","shape":%s,"data_offsets":%s}`, name, dtype, shape, offsets)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":               {nil, "at least 8"},
		"seven bytes":         {make([]byte, 7), "at least 8"},
		"header of 2^63":      {binary.LittleEndian.AppendUint64(nil, 1<<63), "says that its header has 9223372036854775808 bytes"},
		"header of 2^64 - 1":  {binary.LittleEndian.AppendUint64(nil, 1<<64-1), "says that its header"},
		"header past the end": {file("{}", 0)[:9], "says that its header"},
		"no object":           {file(`[1]`, 0), "does not begin with {"},
		"cut JSON":            {file(`{"a":{"dtype":"F32"`, 0), "not JSON as it should be"},
		"not UTF-8":           {file("{\"\xff\":1}", 0), "not UTF-8"},
		"text after the end":  {file(`{} x`, 0), "text after its end"},
		"a brace too many":    {file(`{}}`, 0), "text after its end"},
		"deep nesting":        {file(`{"a":`+strings.Repeat("[", 1<<20), 0), "want {"},
		"nested shape":        {file(`{"a":{"shape":[[1]]}}`, 0), "want a number"},
		"duplicate name":      {file("{"+one("a", "F32", "[0]", "[0,0]")+","+one("a", "F32", "[0]", "[0,0]")+"}", 0), "two tensors have the name"},
		"escaped duplicate":   {file("{"+one("a", "F32", "[0]", "[0,0]")+","+one(`\u0061`, "F32", "[0]", "[0,0]")+"}", 0), "two tensors have the name"},
		"duplicate key":       {file(`{"a":{"shape":[1],"shape":[2]}}`, 0), `has "shape" twice`},
		"duplicate metadata":  {file(`{"__metadata__":{"a":"1","a":"2"}}`, 0), `has "a" twice`},
		"metadata twice":      {file(`{"__metadata__":{},"__metadata__":{}}`, 0), `__metadata__ twice`},
		"metadata of numbers": {file(`{"__metadata__":{"a":1}}`, 0), "want text"},
		"unknown key":         {file(`{"a":{"colour":"red"}}`, 0), "unknown key"},
		"key missing":         {file(`{"a":{"dtype":"F32","shape":[0]}}`, 0), "wants dtype, shape and data_offsets"},
		"unknown type":        {file("{"+one("a", "F8_E4M3", "[1]", "[0,1]")+"}", 1), "want one of"},
		"negative dimension":  {file("{"+one("a", "F32", "[-1]", "[0,4]")+"}", 4), "whole one from 0"},
		"fraction":            {file("{"+one("a", "F32", "[1.5]", "[0,4]")+"}", 4), "whole one from 0"},
		"dimension of 2^63":   {file("{"+one("a", "F32", "[9223372036854775808]", "[0,4]")+"}", 4), "whole one from 0"},
		"overflow":            {file("{"+one("a", "F32", "[4294967296,4294967296,4]", "[0,0]")+"}", 0), "more than memory can address"},
		"overflow past zero":  {file("{"+one("a", "F32", "[9223372036854775807,9223372036854775807,0]", "[0,0]")+"}", 0), "more than memory can address"},
		"33 dimensions":       {file("{"+one("a", "F32", "["+strings.Repeat("1,", 32)+"1]", "[0,4]")+"}", 4), "more than 32"},
		"three offsets":       {file("{"+one("a", "F32", "[1]", "[0,4,8]")+"}", 4), "more than 2"},
		"one offset":          {file("{"+one("a", "F32", "[1]", "[0]")+"}", 4), "has 1 data_offsets"},
		"wrong size":          {file("{"+one("a", "F32", "[2]", "[0,4]")+"}", 4), "has 4 bytes; want 8"},
		"end before begin":    {file("{"+one("a", "F32", "[0]", "[0,4]")+","+one("b", "F32", "[1]", "[4,0]")+"}", 4), "tensor"},
		"past the end":        {file("{"+one("a", "F32", "[2]", "[0,8]")+"}", 4), "to end by 4"},
		"offset of 2^63 - 1":  {file("{"+one("a", "F32", "[2]", "[0,9223372036854775807]")+"}", 4), "to end by 4"},
		"overlap":             {file("{"+one("a", "F32", "[2]", "[0,8]")+","+one("b", "F32", "[2]", "[4,12]")+"}", 12), "want it to begin at 8"},
		"same place":          {file("{"+one("a", "F32", "[1]", "[0,4]")+","+one("b", "F32", "[1]", "[0,4]")+"}", 4), "want it to begin at 4"},
		"hole":                {file("{"+one("a", "F32", "[1]", "[0,4]")+","+one("b", "F32", "[1]", "[8,12]")+"}", 12), "want it to begin at 4"},
		"begins late":         {file("{"+one("a", "F32", "[1]", "[4,8]")+"}", 8), "want it to begin at 0"},
		"bytes left over":     {file("{"+one("a", "F32", "[1]", "[0,4]")+"}", 5), "1 bytes after the last tensor"},
		"long name":           {file("{"+one(strings.Repeat("n", 1<<20), "F32", "[1]", "[0,4]")+"}", 4), "want 1 to 1000 bytes"},
		"empty name":          {file("{"+one("", "F32", "[1]", "[0,4]")+"}", 4), "want 1 to 1000 bytes"},
		"control character":   {file("{"+one(`a\u0000`, "F32", "[1]", "[0,4]")+"}", 4), "control"},
		"long number":         {file(`{"a":{"shape":[`+strings.Repeat("9", 1<<20)+`]}}`, 0), "whole one from 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			foreigntest.Bounded(t, len(test.data), func() { _, err = Parse(test.data) })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v; want %q", err, test.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	values := func(v ...float32) func() ([]float32, error) { return func() ([]float32, error) { return v, nil } }
	for name, test := range map[string]struct {
		tensors []foreign.Source
		want    string
	}{
		"duplicate":       {[]foreign.Source{{Name: "a", Type: foreign.F32, Values: values(1)}, {Name: "a", Type: foreign.F32, Values: values(1)}}, "two tensors"},
		"metadata's name": {[]foreign.Source{{Name: "__metadata__", Type: foreign.F32, Values: values(1)}}, "two tensors"},
		"too few values":  {[]foreign.Source{{Name: "a", Shape: []int{2}, Type: foreign.F32, Values: values(1)}}, "has 1 values; want 2"},
		"beyond a half":   {[]foreign.Source{{Name: "a", Shape: []int{1}, Type: foreign.F16, Values: values(65520)}}, "cannot hold"},
		"integers":        {[]foreign.Source{{Name: "a", Shape: []int{1}, Type: foreign.I64, Values: values(1)}}, "not written from float32"},
		"another's type":  {[]foreign.Source{{Name: "a", Shape: []int{32}, Type: &foreign.Type{Name: "Q8_0", Block: 32, Size: 34}}}, "safetensors has no type Q8_0"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Write(&strings.Builder{}, test.tensors, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
}
