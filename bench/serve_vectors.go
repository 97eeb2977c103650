package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sparrow/internal/measure"
)

// serveVectors measures /v1/embeddings against sentence-transformers behind a plain HTTP server: requests of 16 sentences.
func (b *bench) serveVectors(name string) error {
	if b.models.encoder == "" {
		return errors.New("bench: serve-vectors wants --encoder: a folder of sentence-transformers' kind")
	}
	dir, program, done, err := buildModel()
	if err != nil {
		return err
	}
	defer done()
	checkpoint := filepath.Join(dir, "encoder")
	if err := run(program, "import", b.models.encoder, "-o", checkpoint); err != nil {
		return err
	}
	s, err := startServer(program, "m="+checkpoint, "--threads", fmt.Sprint(b.threads))
	if err != nil {
		return err
	}
	defer s.end()
	var peer *server
	if python := os.Getenv("SPARROW_PYTHON"); python != "" {
		if peer, err = startVectors(python, b.models.encoder, b.threads); err != nil {
			return err
		}
		defer peer.end()
	}
	var texts []string
	words := strings.Fields("a man plays the guitar while rain falls on old roofs and nobody in town sleeps")
	for i := range 16 {
		texts = append(texts, strings.Join(words[i%5:5+i%11], " "))
	}
	var mine, other []float64
	for round := range 3*b.rounds + 1 {
		for _, x := range []struct {
			s   *server
			out *[]float64
		}{{s, &mine}, {peer, &other}} {
			if x.s == nil {
				continue
			}
			took, err := x.s.vectors(texts)
			if err != nil {
				return err
			}
			if round > 0 {
				*x.out = append(*x.out, took)
			}
		}
	}
	out := result{Name: name, Threads: b.threads, Ours: measure.Median(mine), InstructionSet: b.ours.isa, Unit: "s"}
	if peer != nil {
		p, who, version := measure.Median(other), "sentence-transformers", "behind http.server"
		ratio := out.Ours / p
		out.Peer, out.Ratio, out.PeerName, out.PeerVersion, out.PeerBLAS = &p, &ratio, &who, &version, &version
	}
	out.Note = fmt.Sprintf("16 sentences a request, %.0f a second", 16/out.Ours)
	b.emit(out)
	return nil
}

// startVectors runs the peer of vectors.
func startVectors(python, encoder string, threads int) (*server, error) {
	dir, err := peerFolder()
	if err != nil {
		return nil, err
	}
	c := exec.Command(python, filepath.Join(dir, "peer", "vectors.py"), encoder, fmt.Sprint(threads))
	c.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", threads))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s := &server{process: c, dir: dir}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		s.end()
		return nil, fmt.Errorf("bench: vectors.py: %w", err)
	}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return s, nil
}

// vectors is the time of a request for vectors.
func (s *server) vectors(texts []string) (float64, error) {
	began := time.Now()
	body, err := s.post("/v1/embeddings", fields{"input": texts})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return time.Since(began).Seconds(), err
}
