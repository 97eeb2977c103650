package metrics

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"
)

// jsonlFile is a log of one JSON object a line: step, kind, time (RFC 3339, UTC), then the values in the record's order.
// JSON has no NaN and no infinity: they are the strings "NaN", "Infinity" and "-Infinity".
type jsonlFile struct {
	f   *os.File
	now func() time.Time
}

func openJSONL(path string, resumeStep int, now func() time.Time) (*jsonlFile, error) {
	f, err := openRecords(path, resumeStep, func(line []byte) (int, error) {
		var head struct {
			Step *int `json:"step"`
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return 0, err
		}
		if head.Step == nil {
			return 0, errors.New(`no "step"; want one in every line`)
		}
		return *head.Step, nil
	})
	if err != nil {
		return nil, err
	}
	return &jsonlFile{f, now}, nil
}

// Write keeps the order of the values, which a Go map would lose. Names need no escaping: Record.validate saw to that.
func (j *jsonlFile) Write(r Record) error {
	line := []byte(`{"step":` + strconv.Itoa(r.Step) + `,"kind":"` + r.Kind + `","time":"`)
	line = j.now().UTC().AppendFormat(line, "2006-01-02T15:04:05.000Z07:00")
	line = append(line, '"')
	for _, v := range r.Values {
		number := formatNumber(v.X)
		if v.X-v.X != 0 { // NaN or infinite
			number = `"` + number + `"`
		}
		line = append(line, `,"`+v.Name+`":`+number...)
	}
	_, err := j.f.Write(append(line, "}\n"...))
	return err
}

func (j *jsonlFile) Close() error { return closeFile(j.f) }
