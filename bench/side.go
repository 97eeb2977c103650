package main

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed peer/*.py
var peerSource embed.FS

// side is a process that answers one JSON object a line.
type side struct {
	name    string
	version string
	blas    string // of the peer
	isa     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *bytes.Buffer
	dir     string // with the peer's program, removed at the end; "": none
}

// request is a command to a side; see peer/peer.py.
type request map[string]any

// reply holds the answers' fields that the driver reads.
type reply struct {
	Error       string    `json:"error"`
	PeerName    string    `json:"peer_name"`
	PeerVersion string    `json:"peer_version"`
	BLAS        string    `json:"blas"`
	ISA         string    `json:"instruction_set"`
	Seconds     []float64 `json:"seconds"`
	Loss        float64   `json:"loss"`
	Norms       []float64 `json:"norms"`  // of a layer's gradients, squared
	Values      []float64 `json:"values"` // singular values; of a compression the weights before and after
	Layers      int       `json:"layers"` // that were compressed
	Bytes       float64   `json:"bytes"`  // 0: not known
	BaseBytes   float64   `json:"base_bytes"`
	GFLOPS      float64   `json:"gflops"`
	Bandwidth   float64   `json:"bandwidth"`
	WeightBytes float64   `json:"weight_bytes"` // that decoding a token reads
	CacheBytes  float64   `json:"cache_bytes"`  // of a token
}

func start(name string, threads int, argv ...string) (*side, error) {
	s := &side{name: name, cmd: exec.Command(argv[0], argv[1:]...), stderr: &bytes.Buffer{}}
	s.cmd.Stderr = s.stderr
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", threads))
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	info, err := s.ask(request{"cmd": "info", "threads": threads})
	if err != nil {
		s.end()
		return nil, err
	}
	s.version, s.blas, s.isa = info.PeerVersion, info.BLAS, info.ISA
	return s, nil
}

// startOurs runs this very program as a worker.
func startOurs(threads int) (*side, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start("sparrow", threads, exe, "worker")
}

// startPeer runs PyTorch, or returns nil if there is none.
func startPeer(threads int) (*side, error) {
	candidates := []string{"python3", "/usr/bin/python3"}
	if p := os.Getenv("SPARROW_PYTHON"); p != "" {
		candidates = []string{p}
	}
	for _, python := range candidates {
		if exec.Command(python, "-c", "import torch, numpy").Run() == nil {
			dir, err := os.MkdirTemp("", "peer")
			if err != nil {
				return nil, err
			}
			if err := os.CopyFS(dir, peerSource); err != nil {
				return nil, err
			}
			s, err := start("torch", threads, python, filepath.Join(dir, "peer", "peer.py"))
			if err != nil {
				os.RemoveAll(dir)
				return nil, err
			}
			s.dir = dir
			return s, nil
		}
	}
	if p := os.Getenv("SPARROW_PYTHON"); p != "" {
		return nil, fmt.Errorf("bench: SPARROW_PYTHON = %s cannot import torch and numpy", p)
	}
	return nil, nil
}

// ask sends a command and waits for its answer.
func (s *side) ask(r request) (reply, error) {
	var a reply
	line, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err = s.in.Write(append(line, '\n')); err == nil {
		line, err = s.out.ReadBytes('\n')
	}
	if err != nil {
		return a, fmt.Errorf("bench: %s ended: %w\n%s", s.name, err, s.stderr)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New("bench: " + s.name + ": " + a.Error)
	}
	return a, nil
}

// end stops the process.
func (s *side) end() {
	s.in.Close()
	s.cmd.Wait()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
