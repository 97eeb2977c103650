package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// tries is how often in a row an answer may bring nothing.
const tries = 5

// download brings a file to path, where the beginning of it may be from an earlier time. It compares size and checksum; a file
// that fails is removed. after is told how many bytes are there.
func (h *Hub) download(ctx context.Context, path string, f file, after func(done int64)) error {
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	d := &transfer{hub: h, file: f, out: out, after: after}
	if err := d.begin(); err != nil {
		return err
	}
	old := d.done > 0
	for {
		if err := d.whole(ctx); err != nil {
			return err
		}
		if hex.EncodeToString(d.sum.Sum(nil)) == f.checksum {
			return errors.Join(out.Sync(), out.Close())
		}
		if err := d.restart(); err != nil {
			return err
		}
		if !old {
			break
		}
		old = false // what lay there from an earlier time may be what is wrong: once again from the beginning
	}
	_ = os.Remove(path)
	return fmt.Errorf("%w: %s: the bytes do not have the checksum that the hub gives, %s; nothing of it is kept", ErrHub, f.name, f.checksum)
}

// transfer is a download under way.
type transfer struct {
	hub   *Hub
	file  file
	out   *os.File
	sum   hash.Hash
	done  int64
	after func(int64)
}

// begin takes over what an earlier download left.
func (d *transfer) begin() error {
	info, err := d.out.Stat()
	if err != nil {
		return err
	}
	d.newSum()
	if info.Size() > d.file.size {
		return d.restart()
	}
	d.done, err = io.Copy(d.sum, d.out)
	return err
}

func (d *transfer) newSum() {
	if d.sum = hash.Hash(sha256.New()); len(d.file.checksum) == 2*sha1.Size {
		d.sum = sha1.New()
		fmt.Fprintf(d.sum, "blob %d\x00", d.file.size) // as git does
	}
}

// restart forgets what is there.
func (d *transfer) restart() error {
	d.newSum()
	d.done = 0
	_, err := d.out.Seek(0, io.SeekStart)
	return errors.Join(err, d.out.Truncate(0))
}

// whole asks until all bytes are there. It gives up after tries answers in a row that bring nothing.
func (d *transfer) whole(ctx context.Context) error {
	pause, most := d.hub.pause, d.done // a server that knows no ranges begins anew each time: what counts is how far it has ever come
	for failed := 0; d.done < d.file.size; {
		err := d.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrHub):
			return err
		case d.done == d.file.size:
			return nil
		case d.done > most:
			failed, pause, most = 0, d.hub.pause, d.done
		default:
			failed++
		}
		if failed == tries {
			return fmt.Errorf("%w: %s: %d of %d bytes are there, and the last %d tries brought no more: %w; the same command goes on from there", ErrTransfer, d.file.name, d.done, d.file.size, tries, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
	return nil
}

// errCut is an answer that ended early.
var errCut = errors.New("the answer was cut")

// ask makes one request for what is missing and writes what comes of it.
func (d *transfer) ask(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := d.hub.request(ctx, http.MethodGet, d.file.url)
	if err != nil {
		return err
	}
	if d.done > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
	}
	a, err := d.hub.client.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer a.Body.Close()
	at, size := part(a.Header.Get("Content-Range"))
	switch {
	case a.StatusCode == http.StatusPartialContent && size >= 0 && size != d.file.size:
		return fmt.Errorf("%w: %s has %d bytes, and the hub announced %d", ErrHub, d.file.name, size, d.file.size)
	case a.StatusCode == http.StatusPartialContent && at == d.done:
	case a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent || a.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if err := d.restart(); err != nil {
			return err
		}
		if a.StatusCode != http.StatusOK {
			return fmt.Errorf("the server answers %s for another part than the one asked for", a.Status)
		}
	case a.StatusCode >= 500 || a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%s answers %s", a.Request.URL.Host, a.Status)
	default:
		return fmt.Errorf("%w: %s: %s answers %q", ErrHub, d.file.name, a.Request.URL.Host, a.Status)
	}
	return d.copy(a.Body, cancel)
}

// part reads Content-Range: where an answer begins, and the size of the whole file; -1: it does not say.
func part(text string) (at, size int64) {
	span, whole, _ := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	at, size = -1, -1
	if n, err := strconv.ParseInt(first, 10, 64); err == nil {
		at = n
	}
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		size = n
	}
	return at, size
}

// copy writes the body, which may not be longer than the file; a body that stalls is ended by cancel.
func (d *transfer) copy(body io.Reader, cancel context.CancelCauseFunc) error {
	watch := time.AfterFunc(d.hub.stall, func() { cancel(errCut) })
	defer watch.Stop()
	buffer := make([]byte, 1<<16)
	for {
		n, err := body.Read(buffer)
		watch.Reset(d.hub.stall)
		if int64(n) > d.file.size-d.done {
			_ = d.restart()
			return fmt.Errorf("%w: %s has more bytes than the %d that the hub announced", ErrHub, d.file.name, d.file.size)
		}
		if n > 0 {
			if _, err := d.out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", ErrHub, err) // a full disk: no repetition helps
			}
			d.sum.Write(buffer[:n])
			d.done += int64(n)
			d.after(d.done)
		}
		switch {
		case errors.Is(err, io.EOF) && d.done == d.file.size:
			return nil
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return unreachable(err)
		}
	}
}
