package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sparrow/internal/measure"
)

//go:embed peer/*.py
var peerSource embed.FS

// side is a process that answers one JSON object a line.
type side struct {
	name    string
	version string
	blas    string // of the peer
	isa     string
	lane    *measure.Lane
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
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", threads))
	lane, err := measure.Start(cmd)
	if err != nil {
		return nil, err
	}
	s := &side{name: name, lane: lane}
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
			return startScript("torch", threads, python, "peer.py")
		}
	}
	if p := os.Getenv("SPARROW_PYTHON"); p != "" {
		return nil, fmt.Errorf("bench: SPARROW_PYTHON = %s cannot import torch and numpy", p)
	}
	return nil, nil
}

// startScript runs one of the peer's programs.
func startScript(name string, threads int, python, script string) (*side, error) {
	dir, err := peerFolder()
	if err != nil {
		return nil, err
	}
	s, err := start(name, threads, python, filepath.Join(dir, "peer", script))
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.dir = dir
	return s, nil
}

// peerFolder is a new folder with the peer's programs.
func peerFolder() (string, error) {
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, peerSource); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// ask sends a command and waits for its answer.
func (s *side) ask(r request) (a reply, err error) {
	if err := s.lane.Ask(r, &a); err != nil {
		return a, fmt.Errorf("bench: %s %w", s.name, err)
	}
	if a.Error != "" {
		return a, errors.New("bench: " + s.name + ": " + a.Error)
	}
	return a, nil
}

// end stops the process.
func (s *side) end() {
	s.lane.End()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
