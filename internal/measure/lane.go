package measure

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Lane is a running process that answers one JSON object a line.
type Lane struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// Start starts a command as a lane.
func Start(cmd *exec.Cmd) (*Lane, error) {
	l := &Lane{cmd: cmd}
	var err error
	if l.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out, cmd.Stderr = bufio.NewReader(out), &l.stderr
	return l, cmd.Start()
}

// Ask sends a request and waits for the answer. The error of a process that ended has the end of what it wrote to standard
// error.
func (l *Lane) Ask(request, answer any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err = l.in.Write(append(line, '\n')); err == nil {
		line, err = l.out.ReadBytes('\n')
	}
	if err != nil {
		l.End() // what it wrote last is complete then
		return fmt.Errorf("ended: %w\n%s", err, Tail(l.stderr.String()))
	}
	if err := json.Unmarshal(line, answer); err != nil {
		return fmt.Errorf("answered %q: %w", Tail(string(line)), err)
	}
	return nil
}

// End stops the process.
func (l *Lane) End() {
	l.in.Close()
	l.cmd.Wait()
}

// Tail is the end of a text, short enough for a message.
func Tail(s string) string {
	const most = 2000
	if len(s) > most {
		s = "..." + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}
