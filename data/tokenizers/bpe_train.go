package tokenizers

import (
	"cmp"
	"container/heap"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sparrow/data"
)

// endOfText is the separator of trained tokenizers, as in GPT-2. It has id 0.
const endOfText = "<|endoftext|>"

// minPairCount is the least number of occurrences that earns a pair a token: one seen once teaches nothing.
const minPairCount = 2

// trainBPE learns vocabSize-257 merges from the documents of s (Sennrich et al. 2016, algorithm 1): the most frequent
// pair of neighbouring tokens within words becomes a token, again and again. Ties go to the pair with the lower ids,
// which is the rule of Hugging Face's trainer as well, so that both learn the same vocabulary from the same documents.
//
// Ids: 0 is the separator, 1 to 256 are the bytes in the order of byteRunes, then one id a merge. The vocabulary is
// smaller than vocabSize when no pair is left that occurs twice.
func trainBPE(ctx context.Context, s *data.Documents, vocabSize int) (*BPE, error) {
	counts, err := countWords(ctx, s, func() wordCutter { return eachBPEWord })
	if err != nil {
		return nil, err
	}
	learner := newBPELearner(counts)
	merges, err := learner.learn(ctx, vocabSize)
	if err != nil {
		return nil, err
	}
	return parseBPE(trainedFile(learner.texts, merges))
}

// eachBPEWord is a wordCutter.
func eachBPEWord(text string, add func(word string)) {
	for len(text) > 0 {
		n := wordLength(text)
		add(text[:n])
		text = text[n:]
	}
}

// wordCutter calls add with each word of text, valid during the call only.
type wordCutter func(text string, add func(word string))

// wordCount is a distinct word and how often it occurs.
type wordCount struct {
	word  string
	count int
}

// countWords returns the distinct words of all documents, sorted, so that nothing below depends on map order. Each
// goroutine cuts with a cutter of its own.
func countWords(ctx context.Context, s *data.Documents, newCutter func() wordCutter) ([]wordCount, error) {
	workers := runtime.GOMAXPROCS(0)
	tables := make([]map[string]*int, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			table := map[string]*int{}
			tables[w] = table
			cut := newCutter()
			for i := w; i < len(s.List) && ctx.Err() == nil; i += workers {
				cut(s.Content(i), func(word string) {
					if count := table[word]; count != nil {
						*count++
					} else {
						one := 1
						table[strings.Clone(word)] = &one
					}
				})
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	total := tables[0]
	for _, table := range tables[1:] {
		for word, count := range table {
			if sum := total[word]; sum != nil {
				*sum += *count
			} else {
				total[word] = count
			}
		}
	}
	counts := make([]wordCount, 0, len(total))
	for word, count := range total {
		counts = append(counts, wordCount{word, *count})
	}
	slices.SortFunc(counts, func(a, b wordCount) int { return cmp.Compare(a.word, b.word) })
	return counts, nil
}

// bpeLearner is the state of training.
type bpeLearner struct {
	prefix string   // of tokens within words, lost where they are merged to what is before them; "" in BPE
	texts  []string // by id
	ids    map[string]int32
	words  [][]int32 // the tokens of each distinct word
	counts []int
	pairs  map[uint64]int     // occurrences of each pair
	where  map[uint64][]int32 // the words that have, or had, the pair
	queue  pairQueue
}

func newBPELearner(counts []wordCount) *bpeLearner {
	l := &bpeLearner{
		texts:  []string{endOfText},
		ids:    map[string]int32{endOfText: 0},
		words:  make([][]int32, len(counts)),
		counts: make([]int, len(counts)),
		pairs:  map[uint64]int{},
		where:  map[uint64][]int32{},
	}
	var byteIDs [256]int32
	for _, b := range bytesByRune() {
		byteIDs[b] = int32(len(l.texts))
		l.ids[singleBytes[b:int(b)+1]] = int32(len(l.texts))
		l.texts = append(l.texts, singleBytes[b:int(b)+1])
	}
	for i, wc := range counts {
		word := make([]int32, len(wc.word))
		for j := range word {
			word[j] = byteIDs[wc.word[j]]
		}
		l.words[i], l.counts[i] = word, wc.count
	}
	return l
}

// learn merges until there are vocabSize tokens or no pair is left that occurs twice, and returns the pairs.
func (l *bpeLearner) learn(ctx context.Context, vocabSize int) (merges [][2]int32, err error) {
	for i, word := range l.words {
		for j := 1; j < len(word); j++ {
			l.count(pairKey(word[j-1], word[j]), int32(i), l.counts[i])
		}
	}
	for pair, count := range l.pairs {
		l.queue = append(l.queue, pairCount{pair, count})
	}
	heap.Init(&l.queue) // the order of elements does not matter: the queue's order is total
	for len(l.texts) < vocabSize {
		if len(merges)%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		pair, ok := l.step()
		if !ok {
			break
		}
		merges = append(merges, pair)
	}
	return merges, nil
}

// count adds n occurrences of pair, in the given word.
func (l *bpeLearner) count(pair uint64, word int32, n int) {
	l.pairs[pair] += n
	if list := l.where[pair]; n > 0 && (len(list) == 0 || list[len(list)-1] != word) {
		l.where[pair] = append(list, word)
	}
}

// step learns one merge and returns its pair, or false when no pair occurs often enough.
func (l *bpeLearner) step() (pair [2]int32, ok bool) {
	for l.queue.Len() > 0 {
		top := &l.queue[0]
		if count := l.pairs[top.pair]; count != top.count {
			// Counts only fall while a pair is queued: merges of its parts took some of its places.
			top.count = count
			heap.Fix(&l.queue, 0)
			continue
		}
		if top.count < minPairCount {
			return pair, false
		}
		key := top.pair
		heap.Pop(&l.queue)
		pair = [2]int32{int32(key >> 32), int32(uint32(key))}
		l.apply(key, pair)
		return pair, true
	}
	return pair, false
}

// apply gives a pair its id and merges it in every word.
func (l *bpeLearner) apply(key uint64, pair [2]int32) {
	text := l.texts[pair[0]] + strings.TrimPrefix(l.texts[pair[1]], l.prefix)
	id, exists := l.ids[text] // two pairs may spell the same text: ab+c and a+bc
	if !exists {
		id = int32(len(l.texts))
		l.ids[text] = id
		l.texts = append(l.texts, text)
	}
	var born []uint64 // pairs to queue, each once
	for _, w := range l.where[key] {
		word, n := l.words[w], l.counts[w]
		out := word[:0]
		for i := 0; i < len(word); i++ {
			if i+1 == len(word) || word[i] != pair[0] || word[i+1] != pair[1] {
				out = append(out, word[i])
				continue
			}
			if len(out) > 0 {
				previous := out[len(out)-1]
				l.count(pairKey(previous, pair[0]), w, -n)
				l.count(pairKey(previous, id), w, n)
				born = append(born, pairKey(previous, id))
			}
			if i+2 < len(word) {
				l.count(pairKey(pair[1], word[i+2]), w, -n)
				l.count(pairKey(id, word[i+2]), w, n)
				born = append(born, pairKey(id, word[i+2]))
			}
			out = append(out, id)
			i++
		}
		l.words[w] = out
	}
	delete(l.where, key)
	delete(l.pairs, key)
	slices.Sort(born)
	for _, pair := range slices.Compact(born) {
		if count := l.pairs[pair]; count > 0 {
			heap.Push(&l.queue, pairCount{pair, count})
		}
	}
}

// pairCount is an element of the queue.
type pairCount struct {
	pair  uint64
	count int
}

// pairQueue has the most frequent pair on top, and of equals the one with the lower ids.
type pairQueue []pairCount

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	return q[i].count > q[j].count || q[i].count == q[j].count && q[i].pair < q[j].pair
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(pairCount)) }
func (q *pairQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
