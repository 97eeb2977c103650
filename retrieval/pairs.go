package retrieval

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"

	"sparrow/task"
)

// Pairs remembers scored pairs of a scorer, in memory and, if it has a file, there: a record for each pair, appended batch by batch, so
// that whatever ends the process loses no more than the batch under way. Several goroutines may share it; the nil pointer remembers
// nothing.
type Pairs struct {
	mu    sync.Mutex
	known map[pairKey]float64
	most  int // pairs kept; 0: all
	file  *os.File
}

type pairKey [16]byte

// A record is a key, a score and the CRC-32 of both.
const recordSize = 16 + 8 + 4

// pairsMagic opens a file of pairs; the SHA-256 of the scorer's hash follows.
const pairsMagic = "sparrow pairs 1\n"

// NewPairs remembers in memory, so many at most, after which it starts anew; 0: all.
func NewPairs(most int) *Pairs { return &Pairs{known: map[pairKey]float64{}, most: most} }

// OpenPairs goes on with a file of pairs, or starts it. A record that was not written to its end is dropped. A file of another scorer's
// is an error.
func OpenPairs(path string, s Scorer) (*Pairs, error) {
	p := NewPairs(0)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("retrieval: %w", err)
	}
	owner := sha256.Sum256([]byte(s.Hash()))
	head := append([]byte(pairsMagic), owner[:]...)
	good := len(head)
	if len(text) >= len(head) {
		if !bytes.Equal(text[:len(head)], head) {
			return nil, task.Refusef("retrieval: %s holds scores of another scorer than %s; delete it, or name another file", path, s.Name())
		}
		for ; good+recordSize <= len(text); good += recordSize {
			r := text[good : good+recordSize]
			if crc32.ChecksumIEEE(r[:24]) != binary.LittleEndian.Uint32(r[24:]) {
				break
			}
			p.known[pairKey(r[:16])] = math.Float64frombits(binary.LittleEndian.Uint64(r[16:]))
		}
	}
	if p.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, fmt.Errorf("retrieval: %w", err)
	}
	if len(text) < len(head) {
		_, err = p.file.Write(head)
	}
	if err == nil {
		err = p.file.Truncate(int64(good))
	}
	if err == nil {
		_, err = p.file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, fmt.Errorf("retrieval: %w", errors.Join(err, p.file.Close()))
	}
	return p, nil
}

// Len is how many pairs are known.
func (p *Pairs) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.known)
}

// Close closes the file.
func (p *Pairs) Close() error {
	if p == nil || p.file == nil {
		return nil
	}
	return p.file.Close()
}

func keyOf(query, item string) pairKey {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(query)))
	h.Write(n[:])
	_, _ = io.WriteString(h, query)
	_, _ = io.WriteString(h, item)
	return pairKey(h.Sum(nil)[:16])
}

func (p *Pairs) get(query, item string) (float64, bool) {
	if p == nil {
		return 0, false
	}
	key := keyOf(query, item)
	p.mu.Lock()
	defer p.mu.Unlock()
	score, known := p.known[key]
	return score, known
}

func (p *Pairs) put(query string, items []string, scores []float64) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most > 0 && len(p.known)+len(items) > p.most {
		clear(p.known)
	}
	var records []byte
	for i, item := range items {
		key := keyOf(query, item)
		p.known[key] = scores[i]
		if p.file != nil {
			r := binary.LittleEndian.AppendUint64(append([]byte(nil), key[:]...), math.Float64bits(scores[i]))
			records = append(records, binary.LittleEndian.AppendUint32(r, crc32.ChecksumIEEE(r))...)
		}
	}
	if p.file == nil {
		return nil
	}
	if _, err := p.file.Write(records); err != nil {
		return fmt.Errorf("retrieval: %s: %w; make room and run the same command again", p.file.Name(), err)
	}
	return nil
}
