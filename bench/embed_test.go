package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/kernel"
)

// tinySentences makes vectors of texts of at most 16 tokens.
var tinySentences = config{Kind: "encoder", Vocab: 16, DModel: 8, NLayer: 2, NHead: 2, NKVHead: 2, DFF: 12, SeqLen: 16, Batch: 4}

func loadSentences(t *testing.T, engine string) request {
	t.Helper()
	return request{"cmd": "sentences", "config": tinySentences, "threads": 1, "engine": engine,
		"token_ids": tinySentences.textsOf([]int{3, 16, 5, 2, 9, 9, 4}), "dir": filepath.Join(t.TempDir(), "model")}
}

// The worker makes vectors of the texts that it was given.
func TestEmbed(t *testing.T) {
	defer kernel.SetThreads(0)
	all := answers(t, request{"cmd": "embed"}, loadSentences(t, ""), request{"cmd": "embed", "repeat": 3},
		request{"cmd": "sentences", "config": tinySentences})
	if want := "embed: no texts, send sentences first"; all[0].Error != want {
		t.Errorf("error %q, want %q", all[0].Error, want)
	}
	if a := all[2]; a.Error != "" || len(a.Seconds) != 3 || len(a.Values) != 2*tinySentences.DModel {
		t.Errorf("%+v; want 3 times and two vectors", a)
	}
	if want := "sentences: there are none"; all[3].Error != want {
		t.Errorf("error %q, want %q", all[3].Error, want)
	}
}

// The texts are as long as they are said to be: the longest first, within what the network reads, none empty.
func TestEmbedded(t *testing.T) {
	for _, kind := range embedded {
		lengths := kind.lengths()
		texts := miniLM.textsOf(lengths)
		var got []int
		sum := 0
		for _, x := range texts {
			got, sum = append(got, len(x)), sum+len(x)
		}
		if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) || got[0] > miniLM.SeqLen || got[len(got)-1] < 5 {
			t.Errorf("%s: lengths %v", kind.name, got)
		}
		if mean, want := float64(sum)/float64(len(got)), map[string]float64{"sentences": 14.15, "paragraphs": 2 + 62*tokensPerWord}[kind.name]; mean < want-0.3 || mean > want+0.3 {
			t.Errorf("%s: %.2f tokens a text, want %.2f", kind.name, mean, want)
		}
	}
}

// PyTorch and onnxruntime make the same vectors. It needs them.
func TestEmbedEngines(t *testing.T) {
	if os.Getenv("SPARROW_PYTHON") == "" {
		t.Skip("SPARROW_PYTHON is not set")
	}
	defer kernel.SetThreads(0)
	for engine, tolerance := range map[string]float64{"torch": vectorTolerance, "onnx": vectorTolerance, "onnx-int8": integerTolerance} {
		t.Run(engine, func(t *testing.T) {
			peer, err := startPeer(1)
			if err != nil {
				t.Fatal(err)
			}
			defer peer.end()
			load, embed := loadSentences(t, engine), request{"cmd": "embed", "repeat": 1}
			ours := answers(t, load, embed)
			if ours[0].Error != "" || ours[1].Error != "" {
				t.Fatalf("%+v", ours)
			}
			if _, err := peer.ask(load); err != nil {
				t.Fatal(err)
			}
			theirs, err := peer.ask(embed)
			if err == nil {
				err = sameVectors(ours[1].Values, theirs.Values, tolerance)
			}
			if err != nil {
				t.Error(err)
			}
			if err := sameVectors(ours[1].Values, theirs.Values[1:], tolerance); err == nil {
				t.Error("vectors of other sizes are the same")
			}
			t.Log(fmt.Sprint(theirs.PeerName, " ", theirs.PeerVersion))
		})
	}
}
