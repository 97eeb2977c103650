package metrics

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestMaskedCRC(t *testing.T) {
	// RFC 3720, appendix B.4: the CRC-32C of 32 zero bytes is 0x8a9136aa; rotated right by 15 bits 0x6d551522; plus
	// 0xa282ead8, modulo 2^32:
	const want = 0x0fd7fffa
	if got := maskedCRC(make([]byte, 32)); got != want {
		t.Errorf("maskedCRC(32 zeros) = %#08x, want %#08x", got, want)
	}
}

func TestTensorBoardFraming(t *testing.T) {
	dir := t.TempDir()
	earlier := filepath.Join(dir, "events.out.tfevents.0000000001.elsewhere")
	if err := os.WriteFile(earlier, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	board, err := openTensorBoard(dir, 7, stopped)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		{8, KindTrain, []Value{{"loss", 2.5}, {"learning_rate", 3e-4}}},
		{300, KindEval, []Value{{"validation_loss", math.Inf(1)}, {"perplexity", math.Copysign(0, -1)}}},
	} {
		if err := board.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := board.Close(); err != nil {
		t.Fatal(err)
	}
	got := readFile(t, dir, "events.out.tfevents.1700000000.sparrow")
	if want := readFile(t, "testdata", "scalars.tfevents"); got != want {
		t.Errorf("the event file differs from TensorBoard's own:\ngot  %x\nwant %x", got, want)
	}
}

func TestTensorBoardFilesInOrder(t *testing.T) {
	dir := t.TempDir()
	clock := stopped()
	for _, seconds := range []int{0, 0, -3600, 60} {
		clock = clock.Add(time.Duration(seconds) * time.Second)
		board, err := openTensorBoard(dir, 5, func() time.Time { return clock })
		if err != nil {
			t.Fatal(err)
		}
		if err := board.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries { // sorted by name, as TensorBoard reads them
		got = append(got, e.Name())
	}
	want := []string{"events.out.tfevents.1700000000.sparrow", "events.out.tfevents.1700000001.sparrow",
		"events.out.tfevents.1700000002.sparrow", "events.out.tfevents.1700000003.sparrow"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files after four starts (-want +got):\n%s", diff)
	}
}

func TestTensorBoardPurgesOnResume(t *testing.T) {
	cases := []struct {
		name   string
		resume int
		starts int // runs before the one that is looked at
		want   int64
	}{
		{"first start takes nothing back", 0, 0, -1},
		{"start over takes everything back", 0, 1, 0},
		{"resume takes back what follows the checkpoint", 40, 1, 41},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for range c.starts {
				writeRun(t, dir, 0)
			}
			writeRun(t, dir, c.resume)
			entries, err := filepath.Glob(filepath.Join(dir, "events.*"))
			if err != nil {
				t.Fatal(err)
			}
			data := readFile(t, entries[len(entries)-1])
			got := int64(-1)
			for _, event := range splitTFRecords(t, []byte(data)) {
				if start, found := sessionStart(t, event); found {
					got = start
				}
			}
			if got != c.want {
				t.Errorf("the file takes back from step %d, want %d (-1: nothing)", got, c.want)
			}
		})
	}
}

func splitTFRecords(t *testing.T, data []byte) (records [][]byte) {
	t.Helper()
	for len(data) > 0 {
		n := int(binary.LittleEndian.Uint64(data))
		records = append(records, data[12:12+n])
		data = data[16+n:]
	}
	return records
}

// sessionStart returns the step of an event that has a session_log.
func sessionStart(t *testing.T, event []byte) (step int64, found bool) {
	t.Helper()
	for len(event) > 0 {
		number, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			t.Fatalf("no protobuf: %x", event)
		}
		event = event[n:]
		if number == eventStep {
			value, _ := protowire.ConsumeVarint(event)
			step = int64(value)
		}
		found = found || number == eventSessionLog
		event = event[protowire.ConsumeFieldValue(number, kind, event):]
	}
	return step, found
}
