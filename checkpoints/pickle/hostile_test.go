package pickle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign/foreigntest"
)

// archive is a zip as torch.save writes it, of a pickle and one storage of 16 bytes.
func archive(t testing.TB, pickled string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range []struct{ name, text string }{{"m/data.pkl", pickled}, {"m/byteorder", "little"}, {"m/data/0", strings.Repeat("\x01", 16)}} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func int4(n int32) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func int8bytes(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

// Pieces of pickles.
var (
	storage0 = "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + int4(4) + "tQ"
	rebuild  = "ctorch._utils\n_rebuild_tensor_v2\n"
	hooks    = "\x89ccollections\nOrderedDict\n)R"
)

// one is a dict of one tensor with a storage, offset, shape and strides.
func one(storage, offset, shape, strides string) string {
	return "\x80\x02}" + text("a") + rebuild + "(" + storage + offset + shape + strides + hooks + "tRs."
}

func TestHostilePickles(t *testing.T) {
	four := int4(4) + "\x85"
	step := int4(1) + "\x85"
	for name, test := range map[string]struct{ pickled, want string }{
		"a good one":           {one(storage0, int4(0), four, step), ""},
		"empty":                {"", "ends before its end"},
		"no stop":              {"\x80\x02}", "ends before its end"},
		"nothing":              {".", "takes more values"},
		"os.system":            {"cos\nsystem\n" + text("true") + "\x85R.", `"os.system"`},
		"eval by stack":        {text("builtins") + text("eval") + "\x93.", `"builtins.eval"`},
		"a long name":          {"c" + strings.Repeat("n", 1<<20) + "\n\n.", "asks for the name"},
		"a name without end":   {"c" + strings.Repeat("n", 1<<20), "without an end"},
		"INST":                 {"(ios\nsystem\n.", `opcode 0x69 ('i')`},
		"OBJ":                  {"(o.", `opcode 0x6f ('o')`},
		"NEWOBJ":               {"))\x81.", "opcode 0x81"},
		"EXT1":                 {"\x82\x01.", "opcode 0x82"},
		"protocol 9":           {"\x80\x09.", "protocol is 9"},
		"calls a string":       {text("f") + ")R.", "want a name and a tuple"},
		"calls a storage type": {"ctorch\nFloatStorage\n)R.", "arguments that it does not take"},
		"OrderedDict of items": {"ccollections\nOrderedDict\n(]tR.", "arguments that it does not take"},
		"text of 4 GiB":        {"X\xff\xff\xff\xff.", "a text of 4294967295 bytes"},
		"not UTF-8":            {"X\x01\x00\x00\x00\xff.", "not UTF-8"},
		"marks":                {strings.Repeat("(", 1<<20), "lie on the stack"},
		"many values":          {strings.Repeat("N", 1<<20), "lie on the stack"},
		"many dicts":           {strings.Repeat("}", 1<<20), "lie on the stack"},
		"nested tuples":        {")" + strings.Repeat("\x85", 1<<20) + ".", "want a dict of tensors"},
		"nested dicts":         {"}" + strings.Repeat(text("k")+"}", 10), "ends before its end"},
		"a list in itself":     {"]q\x00h\x00a.", "holds a list of 1"},
		"many memos":           {"}" + strings.Repeat("\x94", 1<<20) + ".", "remembers more values"},
		"memo not there":       {"h\x07.", "value 7 of the memo"},
		"memo of nothing":      {"q\x07.", "where there is none"},
		"below a mark":         {"}(0.", "opcode 0x30"},
		"set below a mark":     {"}(" + text("a") + "N(u.", "sets items of None"},
		"append to a dict":     {"}Na.", "want a list"},
		"item of a list":       {"]NNs.", "want a dict"},
		"odd items":            {"}(" + text("a") + "u.", "and pairs"},
		"no mark":              {"}u.", "wants a mark"},
		"take across a mark":   {"N(N\x86.", "takes more values"},
		"values left":          {"}}.", "leaves values behind"},
		"marks left":           {"(}.", "leaves values behind"},
		"attributes of a list": {"]}b.", "sets attributes"},
		"a number":             {"K\x01.", "holds 1; want a dict"},
		"a huge number":        {"\x8a\x09123456789.", "more than 64 bits"},
		"a key of no text":     {"\x80\x02}K\x01NS.", "opcode 0x53"},
		"key is a number":      {"}K\x01Ns.", "under the key 1"},
		"storage is a string":  {text("0") + "Q.", "want a tuple"},
		"storage of two":       {text("storage") + text("0") + "\x86Q.", "want storage, type"},
		"storage of strings":   {"(" + text("storage") + text("torch.FloatStorage") + text("0") + text("cpu") + int4(4) + "tQ.", "refers to a storage of"},
		"storage of -1":        {"(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + int4(-1) + "tQ.", "refers to a storage of"},
		"storage not there":    {"}" + text("a") + "(" + text("storage") + "ctorch\nFloatStorage\n" + text("9") + text("cpu") + int4(4) + "tQs.", `holds no "m/data/9"`},
		"storage elsewhere":    {"}" + text("a") + "(" + text("storage") + "ctorch\nFloatStorage\n" + text("../data.pkl") + text("cpu") + int4(4) + "tQs.", `holds no`},
		"storage too large":    {"}" + text("a") + "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + int4(5) + "tQs.", "has 16 bytes; want 5 of F32"},
		"storage of 4 TB":      {"}" + text("a") + "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + int8bytes(1<<40) + "tQs.", "has 16 bytes"},
		"storage in two ways":  {storage0[:len(storage0)-2] + "tQ" + strings.Replace(storage0, "Float", "Long", 1) + ".", "in two ways"},
		"tensor too large":     {one(storage0, int4(0), int4(5)+"\x85", step), "takes 20 bytes of a storage of 16"},
		"tensor of 4 TB":       {one(storage0, int4(0), int8bytes(1<<40)+"\x85", int4(0)+"\x85"), "takes"},
		"shape that overflows": {one(storage0, int4(0), int8bytes(1<<62)+int8bytes(1<<62)+"\x86", int4(0)+int4(0)+"\x86"), "more than memory can address"},
		"negative shape":       {one(storage0, int4(0), int4(-4)+"\x85", step), "no negative dimension"},
		"negative stride":      {one(storage0, int4(3), four, int4(-1)+"\x85"), "leave its storage"},
		"stride of 2^62":       {one(storage0, int4(0), int4(2)+"\x85", int8bytes(1<<62)+"\x85"), "leave its storage"},
		"negative offset":      {one(storage0, int4(-1), four, step), "offset -1"},
		"offset past the end":  {one(storage0, int4(1), four, step), "ends at element 4 of a storage of 4"},
		"offset of 2^63 - 1":   {one(storage0, int8bytes(1<<63-1), four, step), "offset 9223372036854775807"},
		"shape without stride": {one(storage0, int4(0), four, ")"), "don't fit shape"},
		"33 dimensions":        {one(storage0, int4(0), "("+strings.Repeat(int4(1), 33)+"t", "("+strings.Repeat(int4(1), 33)+"t"), "want a storage"},
		"tensor of a string":   {one(text("x"), int4(0), four, step), "want a storage"},
		"duplicate":            {"}(" + strings.Repeat(text("a")+rebuild+"("+storage0+int4(0)+four+step+hooks+"tR", 2) + "u.", "two tensors have the name"},
		"long tensor name":     {"}" + text(strings.Repeat("n", 1<<20)) + rebuild + "(" + storage0 + int4(0) + four + step + hooks + "tRs.", "want 1 to 1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			data := archive(t, test.pickled)
			var err error
			foreigntest.Bounded(t, len(data), func() { _, err = Parse(data) })
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

func TestHostileZips(t *testing.T) {
	write := func(method uint16, names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range names {
			f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(bytes.Repeat([]byte("."), 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := archive(t, "}.")
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":          {nil, "neither a zip nor a stream"},
		"text":             {[]byte("version https://git-lfs.github.com/spec/v1"), "neither a zip nor a stream"},
		"cut":              {good[:len(good)-10], "not a whole zip"},
		"no data.pkl":      {write(zip.Store, "model.json"), "no data.pkl"},
		"compressed":       {write(zip.Deflate, "m/data.pkl"), "compressed"},
		"entry twice":      {write(zip.Store, "m/data.pkl", "m/data.pkl"), "twice"},
		"other byteorder":  {bytes.Replace(good, []byte("little"), []byte("big!!!"), 1), "not little-endian"},
		"a size that lies": {bytes.ReplaceAll(good, binary.LittleEndian.AppendUint32(nil, 16), binary.LittleEndian.AppendUint32(nil, 1<<30)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			foreigntest.Bounded(t, len(test.data), func() { _, err = Parse(test.data) })
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
}

func TestHostileStreams(t *testing.T) {
	good, err := os.ReadFile("testdata/stream.bin")
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(good) {
		if _, err := Parse(good[:cut]); err == nil {
			t.Fatalf("a stream cut to %d of %d bytes is read", cut, len(good))
		}
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"another number":  {string(magic), "0123456789", "torch's magic number"},
		"another version": {"M\xe9\x03.", "M\xe8\x03.", "version 1000"},
		"another machine": {"little_endianq\x02\x88", "little_endianq\x02\x89", "not little-endian"},
	} {
		data := bytes.Replace(good, []byte(test.old), []byte(test.new), 1)
		if bytes.Equal(data, good) {
			t.Errorf("%s: nothing was replaced", name)
		}
		if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v; want %q", name, err, test.want)
		}
	}
}
