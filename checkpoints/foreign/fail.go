package foreign

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// ErrFile is what every error about a foreign file matches, for errors.Is.
var ErrFile = errors.New("foreign: cannot use this file")

type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string        { return f.text }
func (f *failure) Is(target error) bool { return target == ErrFile }
func (f *failure) Unwrap() error        { return f.cause }

// Fail says that err is about the file at path; it matches [ErrFile] and what err matches.
func Fail(path string, err error) error {
	text := err.Error()
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		text = pathErr.Err.Error()
	}
	return &failure{path + ": " + text, err}
}

// quoted is how much of a stranger's text a message shows.
const quoted = 100

// Quote is text in quotes for a message, cut after 100 bytes: a name in a file may be as long as the file.
func Quote(text string) string {
	if len(text) > quoted {
		return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(text[:quoted]), len(text))
	}
	return strconv.Quote(text)
}
