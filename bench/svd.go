package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/sbinet/npyio/npz"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
)

// matrices are the weights that are decomposed: a projection of BERT-base, and one of its feed-forward layers.
var matrices = [][2]int{{768, 768}, {768, 3072}}

// svdTolerance is how far singular values of two sides may be apart, relative to the largest.
const svdTolerance = 1e-11

// svd measures singular value decompositions in float64 against numpy's (LAPACK's gesdd): all values and vectors, and the
// third of them that a low-rank layer keeps at equal size, for which the peer can only compute all.
func (b *bench) svd(name string) error {
	for _, size := range matrices {
		path, done, err := writeMatrix(size[0], size[1])
		if err != nil {
			return err
		}
		err = b.svdOf(name, size[0], size[1], path)
		done()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) svdOf(name string, rows, cols int, path string) error {
	full := min(rows, cols)
	ask := func(rank int) request {
		return request{"cmd": "svd", "weights": path, "rank": rank, "threads": b.threads}
	}
	answers := map[*side]reply{}
	for _, s := range b.sides() {
		a, err := s.ask(ask(full)) // warms up
		if err != nil {
			return err
		}
		answers[s] = a
	}
	partial := full / 3
	low, err := b.ours.ask(ask(partial))
	if err != nil {
		return err
	}
	if b.peer != nil {
		want := answers[b.peer].Values
		for _, got := range [][]float64{answers[b.ours].Values, low.Values} {
			for i, s := range got {
				if i >= len(want) || !(math.Abs(s-want[i]) <= svdTolerance*want[0]) {
					return fmt.Errorf("bench: %s: the sides do not compute the same: value %d of %d x %d is %g, the peer has %d values", name, i, rows, cols, s, len(want))
				}
			}
		}
	}
	var ours, truncated, peer []float64
	for range b.rounds {
		o, p, err := b.alternate(1, ask(full))
		if err != nil {
			return err
		}
		var a reply
		for range 2 { // the peer's threads poll for more work for a while: the first turn after it does not count
			if a, err = b.ours.ask(ask(partial)); err != nil {
				return err
			}
		}
		ours, peer, truncated = append(ours, o...), append(peer, p...), append(truncated, a.Seconds...)
	}
	lines := []struct {
		what, note string
		seconds    []float64
	}{
		{"full", "all values and vectors", ours},
		{fmt.Sprintf("rank-%d", partial), "the peer computes all", truncated},
	}
	for _, line := range lines {
		out := b.result(fmt.Sprintf("%s/%dx%d/%s", name, rows, cols, line.what), "s", measure.Median(line.seconds), measure.Median(peer))
		if b.peer != nil {
			a := answers[b.peer]
			out.PeerName, out.PeerVersion, out.PeerBLAS = &a.PeerName, &a.PeerVersion, &a.BLAS
		}
		out.Note = line.note
		b.emit(out)
	}
	return nil
}

// writeMatrix makes a matrix as weights are: noise whose columns differ in size by an order of magnitude.
func writeMatrix(rows, cols int) (path string, done func(), err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", nil, err
	}
	a := make([]float32, rows*cols)
	rng.FillNormal(rng.New(1, "bench/svd", 0), a, 0, 0.02)
	for i := range a {
		a[i] /= float32(math.Sqrt(1 + float64(i%cols)/8))
	}
	folder := dir + "/matrix"
	err = checkpoints.Write(folder, checkpoints.Contents{Kind: "matrix", Arrays: map[string][]checkpoints.Array{
		"model.npz": {{Name: "matrix", Shape: []int{rows, cols}, Data: a}}}})
	return folder + "/model.npz", func() { os.RemoveAll(dir) }, err
}

// decompose times our decomposition of the matrix in a file: thin if the rank is full, else truncated.
func decompose(path string, rank int) (reply, error) {
	var r reply
	f, err := npz.Open(path)
	if err != nil {
		return r, fmt.Errorf("svd: %w", err)
	}
	defer f.Close()
	const key = "matrix.npy"
	var data []float32
	if err := f.Read(key, &data); err != nil {
		return r, fmt.Errorf("svd: %w", err)
	}
	shape := f.Header(key).Descr.Shape
	a, err := factor.FromFloat32(shape[0], shape[1], data)
	if err != nil {
		return r, err
	}
	began := time.Now()
	var d *factor.SVD
	if rank == min(a.Rows, a.Cols) {
		d, err = factor.ThinSVD(context.Background(), a, nil)
	} else {
		d, err = factor.TruncatedSVD(context.Background(), a, rank, nil)
	}
	if err != nil {
		return r, err
	}
	r.Seconds = []float64{time.Since(began).Seconds()}
	r.Values = d.S
	return r, nil
}
