package metrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of tensorboard/compat/proto/{event,summary}.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue     = 1 // repeated Summary.Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float

	sessionLogStatus = 1 // enum
	sessionLogStart  = 1 // START: TensorBoard forgets every event of this event's step and later
)

// tensorBoardFile is a TensorBoard event file with scalar summaries only. Tags are kind/name, without the prefix that
// the kind repeats: train/loss, train/grad_norm, eval/loss, eval/perplexity.
//
// A file is a sequence of TFRecords, each an Event in protobuf's encoding:
//
//	uint64 length | uint32 masked CRC of length | data | uint32 masked CRC of data        (little endian)
type tensorBoardFile struct {
	f   *os.File
	now func() time.Time
}

// openTensorBoard starts a new event file in dir. TensorBoard reads the event files of a folder in the order of their
// names as one run, so a resumed run adds a file whose first event takes back what earlier files hold after resumeStep.
func openTensorBoard(dir string, resumeStep int, now func() time.Time) (*tensorBoardFile, error) {
	const prefix = "events.out.tfevents."
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	// The name carries the time in seconds. Two starts within one second, or a clock that went back, must not put the
	// later file first, or into the earlier one.
	seconds, resumed := now().Unix(), false
	for _, entry := range entries {
		rest, found := strings.CutPrefix(entry.Name(), prefix)
		if !found {
			continue
		}
		resumed = true
		digits, _, _ := strings.Cut(rest, ".")
		if s, err := strconv.ParseInt(digits, 10, 64); err == nil {
			seconds = max(seconds, s+1)
		}
	}
	path := filepath.Join(dir, fmt.Sprintf("%s%010d.sparrow", prefix, seconds))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	t := &tensorBoardFile{f, now}
	version := protowire.AppendTag(nil, eventFileVersion, protowire.BytesType)
	version = protowire.AppendString(version, "brain.Event:2")
	err = t.writeEvent(0, version)
	if err == nil && resumed {
		firstStep := 0
		if resumeStep > 0 {
			firstStep = resumeStep + 1
		}
		start := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
		start = protowire.AppendVarint(start, sessionLogStart)
		err = t.writeEvent(firstStep, appendMessage(nil, eventSessionLog, start))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return t, nil
}

// Write appends one event that holds every value of the record, rounded to float32 as TensorBoard stores them.
func (t *tensorBoardFile) Write(r Record) error {
	var summary []byte
	for _, v := range r.Values {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, scalarTag(r.Kind, v.Name))
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(v.X)))
		summary = appendMessage(summary, summaryValue, value)
	}
	return t.writeEvent(r.Step, appendMessage(nil, eventSummary, summary))
}

func (t *tensorBoardFile) Close() error { return closeFile(t.f) }

func scalarTag(kind, name string) string {
	if kind == KindEval {
		name = strings.TrimPrefix(name, "validation_")
	}
	return kind + "/" + name
}

// writeEvent appends the event of a step; what is its one remaining field, encoded.
func (t *tensorBoardFile) writeEvent(step int, what []byte) error {
	seconds := float64(t.now().UnixMicro()) / 1e6
	event := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	event = protowire.AppendFixed64(event, math.Float64bits(seconds))
	if step != 0 { // proto3 leaves a zero out
		event = protowire.AppendTag(event, eventStep, protowire.VarintType)
		event = protowire.AppendVarint(event, uint64(step))
	}
	event = append(event, what...)
	_, err := t.f.Write(appendTFRecord(nil, event))
	return err
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is TFRecord's checksum: CRC-32C rotated right by 15 bits plus a constant, because the CRC of data that
// holds its own CRC is a poor one.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

func appendTFRecord(b, data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(length))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}
