package labelled

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// examplesOf returns examples of the given lengths, with tokens that tell them apart, classes and types.
func examplesOf(lengths ...int) *Examples {
	x := &Examples{tokens: tokenizers.MakeTokens(1<<16, 0), pad: 7}
	for i, n := range lengths {
		for j := range n {
			x.tokens.Append(10 + i*31 + j)
		}
		x.ends = append(x.ends, int32(x.tokens.Len()))
		x.typed = append(x.typed, int32(n/2))
		x.labels = append(x.labels, int32(i%3))
	}
	return x
}

// someLengths returns n lengths from 1 to longest, deterministic and mixed.
func someLengths(n, longest int) []int {
	lengths := make([]int, n)
	for i := range lengths {
		lengths[i] = 1 + i*i*7919%longest
	}
	return lengths
}

func cloneBatch(b *Batch) Batch {
	return Batch{b.SeqLen, b.N, slices.Clone(b.Tokens), slices.Clone(b.Types), slices.Clone(b.Lengths), slices.Clone(b.Labels), slices.Clone(b.Scores), slices.Clone(b.Index)}
}

// checkBatch compares every row of a batch with its example.
func checkBatch(t *testing.T, x *Examples, b *Batch, batchSize, maxLen int) {
	t.Helper()
	if len(b.Tokens) != batchSize*b.SeqLen || len(b.Types) != len(b.Tokens) || len(b.Lengths) != batchSize || len(b.Labels) != batchSize || len(b.Scores) != batchSize || b.N < 1 {
		t.Fatalf("batch of %d rows and %d tokens has sizes %d %d %d %d %d", b.N, b.SeqLen, len(b.Tokens), len(b.Types), len(b.Lengths), len(b.Labels), len(b.Scores))
	}
	for row := range batchSize {
		var want Example
		index, label, length := -1, data.IgnoredTarget, 0
		if row < b.N {
			index = b.Index[row]
			want = x.At(index)
			label = want.Label
			length = len(want.Tokens)
			if maxLen > 0 {
				length = min(length, maxLen)
			}
		}
		if b.Lengths[row] != length || b.Labels[row] != label || b.Index[row] != index || b.Scores[row] != want.Score {
			t.Fatalf("row %d: length %d, label %d, index %d, score %v; want %d, %d, %d, %v", row, b.Lengths[row], b.Labels[row], b.Index[row], b.Scores[row], length, label, index, want.Score)
		}
		for j := range b.SeqLen {
			token, typ := x.pad, 0
			if j < length {
				token, typ = want.Tokens[j], want.Types[j]
			}
			if at := row*b.SeqLen + j; b.Tokens[at] != token || b.Types[at] != typ {
				t.Fatalf("row %d, token %d: %d of type %d, want %d of type %d", row, j, b.Tokens[at], b.Types[at], token, typ)
			}
		}
	}
}

func TestExampleLoaderEpochs(t *testing.T) {
	for _, test := range []struct {
		name                     string
		lengths                  []int
		batchSize, maxLen, grain int
	}{
		{"mixed", someLengths(101, 100), 8, 0, 8},
		{"cut", someLengths(50, 200), 4, 60, 4},
		{"one example", []int{5}, 3, 0, 8},
		{"one length", []int{9, 9, 9, 9, 9}, 2, 0, 8},
		{"batch beyond all", someLengths(20, 300), 64, 0, 16},
		{"whole batches", someLengths(64, 500), 16, 0, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := examplesOf(test.lengths...)
			l, err := NewLoader(x, LoaderConfig{BatchSize: test.batchSize, MaxLen: test.maxLen, Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			seqLens := l.SeqLens()
			if len(seqLens) > 4 || !slices.IsSorted(seqLens) {
				t.Errorf("lengths %v, want at most 4, ascending", seqLens)
			}
			for i, n := range seqLens {
				if n%test.grain != 0 || test.maxLen > 0 && n > test.maxLen {
					t.Errorf("length %d of %v", i, seqLens)
				}
			}
			var b Batch
			var orders []string
			for epoch := range 3 {
				var seen []int
				short := 0
				for range l.Batches() {
					l.Next(&b)
					if l.Cursor().Epoch != epoch {
						t.Fatalf("cursor %+v in epoch %d", l.Cursor(), epoch)
					}
					if !slices.Contains(seqLens, b.SeqLen) {
						t.Fatalf("batch of length %d, want one of %v", b.SeqLen, seqLens)
					}
					checkBatch(t, x, &b, test.batchSize, test.maxLen)
					if b.N < test.batchSize {
						short++
					}
					seen = append(seen, b.Index[:b.N]...)
				}
				orders = append(orders, fmt.Sprint(seen))
				slices.Sort(seen)
				if want := len(test.lengths); len(seen) != want || len(slices.Compact(seen)) != want || short > 1 {
					t.Fatalf("epoch %d: %d examples of %d, %d short batches", epoch, len(seen), want, short)
				}
			}
			if len(test.lengths) > 10 && (orders[0] == orders[1] || orders[1] == orders[2]) {
				t.Error("two epochs have one order")
			}
		})
	}
}

func TestExampleLoaderResumes(t *testing.T) {
	x := examplesOf(someLengths(37, 40)...)
	cfg := LoaderConfig{BatchSize: 5, Seed: 11}
	walk, err := NewLoader(x, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var cursors []data.Cursor
	var batches []Batch
	var b Batch
	for range 20 {
		cursors = append(cursors, walk.Cursor())
		walk.Next(&b)
		batches = append(batches, cloneBatch(&b))
	}
	for i := len(cursors) - 1; i >= 0; i-- {
		seek, err := NewLoader(x, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := seek.Seek(cursors[i]); err != nil {
			t.Fatal(err)
		}
		if got := seek.Cursor(); got != cursors[i] {
			t.Errorf("cursor after Seek is %+v, want %+v", got, cursors[i])
		}
		for j := i; j < len(batches); j++ {
			if seek.Next(&b); !cmp.Equal(cloneBatch(&b), batches[j]) {
				t.Fatalf("batch %d after Seek(%+v) differs", j, cursors[i])
			}
		}
	}
	other, err := NewLoader(x, LoaderConfig{BatchSize: 5, Seed: 12})
	if err != nil {
		t.Fatal(err)
	}
	if other.Next(&b); slices.Equal(b.Index, batches[0].Index) {
		t.Error("another seed gives the same first batch")
	}
	for _, c := range []data.Cursor{{Epoch: -1, Position: 0}, {Epoch: 0, Position: -1}, {Epoch: 0, Position: 9}} {
		if err := other.Seek(c); err == nil || other.Cursor() != (data.Cursor{Epoch: 0, Position: 1}) {
			t.Errorf("Seek(%+v): error %v, cursor %+v", c, err, other.Cursor())
		}
	}
	for _, cfg := range []LoaderConfig{{BatchSize: 0}, {BatchSize: 1, MaxLen: -1}} {
		if _, err := NewLoader(x, cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
	if _, err := NewLoader(&Examples{tokens: tokenizers.MakeTokens(9, 0)}, cfg); err == nil {
		t.Error("no examples: no error")
	}
}

// TestBucketLengths compares the padding with that of every choice of lengths.
func TestBucketLengths(t *testing.T) {
	padded := func(lengths, buckets []int) int {
		total := 0
		for _, n := range lengths {
			total += buckets[bucketOf(buckets, n)]
		}
		return total
	}
	for _, lengths := range [][]int{someLengths(50, 64), {8, 8, 8, 64}, {1}, {3, 30, 31, 32, 33, 60}, someLengths(9, 80)} {
		got := bucketLengths(lengths, 1000)
		best := padded(lengths, []int{(slices.Max(lengths) + 7) / 8 * 8})
		var try func(from int, chosen []int)
		try = func(from int, chosen []int) {
			if n := len(chosen); n > 0 && chosen[n-1] >= slices.Max(lengths) {
				best = min(best, padded(lengths, chosen))
				return
			}
			for next := from; next <= slices.Max(lengths)+7 && len(chosen) < maxBuckets; next += 8 {
				try(next+8, append(slices.Clip(chosen), next))
			}
		}
		try(8, nil)
		if total := padded(lengths, got); total != best || len(got) > maxBuckets {
			t.Errorf("lengths %v: buckets %v pad to %d, want %d", lengths, got, total, best)
		}
	}
	if got := bucketLengths([]int{500, 20, 77}, 77); got[len(got)-1] != 77 {
		t.Errorf("buckets %v, want the last to be the limit of 77", got)
	}
	if got := bucketLengths([]int{60000, 5}, 1<<16); len(got) > maxBuckets || got[len(got)-1] < 60000 {
		t.Errorf("buckets %v for 60000 tokens", got)
	}
}

func TestExampleBatches(t *testing.T) {
	x := examplesOf(someLengths(43, 90)...)
	for _, test := range []struct{ batchSize, maxLen, limit, want int }{{4, 0, 0, 43}, {8, 50, 0, 43}, {5, 0, 17, 17}, {64, 0, 99, 43}, {1, 9, 1, 1}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			s := EvalBatches(x, test.batchSize, test.maxLen, test.limit)
			var b Batch
			var seen []int
			last := 0
			for i := range s.Batches() {
				s.Batch(i, &b)
				checkBatch(t, x, &b, test.batchSize, test.maxLen)
				if b.SeqLen < last {
					t.Errorf("batch %d has length %d after %d", i, b.SeqLen, last)
				}
				last = b.SeqLen
				seen = append(seen, b.Index[:b.N]...)
			}
			slices.Sort(seen)
			if len(slices.Compact(seen)) != test.want || s.Len() != test.want {
				t.Errorf("%d examples, want %d", len(seen), test.want)
			}
			if test.limit == 17 && seen[16] < 30 {
				t.Errorf("examples %v are not spread over 43", seen)
			}
		})
	}
}

func TestOpenLabelledIsDeterministic(t *testing.T) {
	path := writeFile(t, "x.tsv", sentences(1200))
	all := func(d *Dataset) string {
		var b strings.Builder
		for _, x := range []*Examples{d.Train, d.Validation} {
			for i := range x.Len() {
				fmt.Fprintln(&b, x.At(i))
			}
		}
		return b.String()
	}
	for _, tokenizer := range []string{"word", "wordpiece", "bpe", "char", "byte"} {
		t.Run(tokenizer, func(t *testing.T) {
			cfg := tsvConfig(path)
			cfg.Tokenizer, cfg.VocabSize = tokenizer, 300
			open := func(threads int) *Dataset {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
				d, err := Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			one, three := open(1), open(3)
			if string(one.Tokenizer.Save()) != string(three.Tokenizer.Save()) || all(one) != all(three) || one.SHA256 != three.SHA256 {
				t.Error("one and three threads give different examples")
			}
			loaded, err := tokenizers.Load(one.Tokenizer.Save())
			if err != nil {
				t.Fatal(err)
			}
			again, err := OpenWith(t.Context(), cfg, loaded, one.Labels)
			if err != nil {
				t.Fatal(err)
			}
			if all(again) != all(one) || !slices.Equal(again.Labels, one.Labels) {
				t.Error("OpenWith the saved tokenizer gives other examples")
			}
			if counts := one.Validation.LabelCounts(3); !slices.Equal(counts, []int{100, 100, 100}) {
				t.Errorf("validation has %v of the classes, want a quarter of each", counts)
			}
			survey, err := Look(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if int(survey.Bytes) != one.TextBytes() || !slices.Equal(survey.Labels, one.Labels) {
				t.Errorf("Look says %+v of %s", survey, one.Describe())
			}
			reversed := slices.Clone(one.Labels)
			slices.Reverse(reversed)
			turned, err := OpenWith(t.Context(), cfg, loaded, reversed)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := one.Train.At(0).Label, turned.Train.At(0).Label; a+b != 2 {
				t.Errorf("label %d under %q is %d under %q", a, one.Labels, b, reversed)
			}
		})
	}
}

// TestHoldOutKeepsEqualTextsTogether: a text of training must not validate.
func TestHoldOutKeepsEqualTextsTogether(t *testing.T) {
	var l Texts
	for i := range 400 {
		l.AddText(fmt.Sprintf("text %d", i%100), "x")
		l.Labels = append(l.Labels, int32(i%2))
	}
	train, validation := l.holdOut(0.3)
	if n := validation.len(); n < 120 || n > 128 || train.len()+n != 400 {
		t.Errorf("%d for training, %d for validation", train.len(), n)
	}
	for i := range validation.len() {
		for j := range train.len() {
			if validation.Content(i) == train.Content(j) {
				t.Fatalf("%q is on both sides", train.Content(j))
			}
		}
	}
}
