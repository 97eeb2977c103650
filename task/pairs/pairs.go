package pairs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Task trains on queries with candidates, of which the first answers. A row of its batches is a query.
type Task struct {
	cfg       recipe.Config
	from      labelled.Groups
	network   model.Candidates
	tokenizer tokenizers.Tokenizer // nil: only the data tells it
	files     task.Files
	data      *labelled.GroupSet // nil: not read
}

// Fits says why a config is not one of a ranking of candidates.
func Fits(c recipe.Config) error {
	body, err := task.Fit[model.RankedBody, labelled.Groups](c, `source = "groups"`)
	if err != nil {
		return err
	}
	if _, ok := body.Candidates(model.Text{}); !ok {
		return &task.Misfit{Key: task.NetworkKey, Value: c.Model.Name, Message: "has no table [model.ranking], which says how pairs of a query and a candidate get their scores"}
	}
	return task.Offer{Examples: true, Metrics: []string{"loss", "mrr", "recall@1"}}.Check(c)
}

// Open takes the tokenizer of a checkpoint, if there is one.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	t := &Task{cfg: cfg, files: files}
	var ok bool
	if t.from, ok = cfg.Data.Of.(labelled.Groups); !ok {
		t.from = labelled.DefaultGroups()
		t.from.Lengths = cfg.Data.Lengths()
	}
	body, ok := cfg.Model.Of.(model.RankedBody)
	if ok {
		t.network, ok = body.Candidates(model.Text{})
	}
	if !ok {
		return nil, task.Refusef("[model] kind = %q has no table [model.ranking]", cfg.Model.Name)
	}
	t.network.Count = 1 + t.from.Negatives
	var err error
	if files != nil {
		t.tokenizer, err = task.ReadTokenizer(files)
	}
	return t, err
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := task.Facts{Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "query"}
	if t.tokenizer != nil {
		f.Files = task.Kept(t.files, map[string][]byte{"tokenizer.json": t.tokenizer.Save()})
	}
	if t.data != nil {
		f.Line = fmt.Sprintf("groups: %d training, %d validation and %d test queries, %.1f MB, %d candidates of each in a batch, %s tokenizer with %d ids",
			len(t.data.Train), len(t.data.Validation), len(t.data.Test), float64(t.data.Bytes)/1e6, t.network.Count, t.tokenizer.Kind(), t.tokenizer.VocabSize())
		f.Hash, f.Bytes, f.Rows = t.data.SHA256, t.data.Bytes, len(t.data.Train)
	}
	return f
}

// Read implements task.Task.
func (t *Task) Read(ctx context.Context) error {
	if t.data != nil {
		return nil
	}
	if t.cfg.Data.IsNone() {
		return task.NoData("queries and candidates")
	}
	d, err := t.from.Read(ctx)
	if err != nil {
		return task.Refuse(err)
	}
	if t.tokenizer == nil {
		if t.tokenizer, err = tokenizers.New(ctx, t.from.Config, labelled.Documents(d.Train)); err != nil {
			return task.Refuse(err)
		}
	}
	t.data = d
	return nil
}

// Share implements task.Sharer.
func (t *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok && o.data != nil && task.SameData(t.cfg.Data, o.cfg.Data) {
		t.data, t.tokenizer = o.data, o.tokenizer
	}
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) {
	if t.tokenizer == nil {
		return model.Dims{}, task.ErrUnread
	}
	return model.Dims{VocabSize: t.tokenizer.VocabSize(), Context: t.cfg.LabelledContext(), Candidates: t.network.Count}, nil
}

// Metrics implements task.Task: the loss of the softmax over the candidates, whatever is trained by, and where the one that answers ranks
// among them.
func (t *Task) Metrics() []task.Metric {
	return []task.Metric{{Name: "loss", Falling: true, Unit: "nats a query", Digits: 4}, {Name: "mrr", Digits: 4}, {Name: "recall@1", Digits: 4}}
}

// Longest implements task.Task.
func (t *Task) Longest() (key string, n int) { return "max_len", t.longest() }

func (t *Task) longest() int { return min(t.from.MaxLen, t.cfg.LabelledContext()) }

// lengths are those that batches are padded to, ascending: few, since each is a graph to build and to keep.
func (t *Task) lengths() (all []int) {
	n := t.longest()
	for _, part := range []int{4, 2, 1} {
		if l := (n + part - 1) / part; len(all) == 0 || l > all[len(all)-1] {
			all = append(all, l)
		}
	}
	return all
}

// Shapes implements task.Stepped.
func (t *Task) Shapes(rows int) []model.Shape {
	var shapes []model.Shape
	for _, n := range slices.Backward(t.lengths()) {
		shapes = append(shapes, model.Shape{Rows: rows * t.network.Count, Length: n})
	}
	return shapes
}

// Batches implements task.Stepped.
func (t *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	f.Rows = cmp.Or(f.Rows, t.cfg.Train.BatchSize)
	groups, err := t.part(ctx, f.Split, f.File)
	if err != nil {
		return nil, err
	}
	encoder, err := t.encoder()
	if err != nil {
		return nil, err
	}
	if f.Endless() {
		o := newOrder(len(groups), f.Rows, f.Seed)
		return &task.Feeder{Order: o, Fill: func(int) (*model.Program, int, error) {
			var lists [][]pair
			for r := range f.Rows {
				g, draw := o.at(r)
				lists = append(lists, candidates(groups[g], t.network.Count, draw))
			}
			o.advance()
			return t.feed(s, f, encoder, lists)
		}}, f.Prepare(s, t.Shapes(f.Rows))
	}
	if f.Limit > 0 {
		groups = groups[:min(len(groups), f.Limit)]
	}
	return &task.Feeder{N: (len(groups) + f.Rows - 1) / f.Rows, Fill: func(i int) (*model.Program, int, error) {
		var lists [][]pair
		for _, g := range groups[i*f.Rows : min((i+1)*f.Rows, len(groups))] {
			lists = append(lists, candidates(g, t.network.Count, nil))
		}
		return t.feed(s, f, encoder, lists)
	}}, nil
}

// part are the groups of a split, or of a file.
func (t *Task) part(ctx context.Context, split task.Split, file string) ([]labelled.Group, error) {
	if file != "" {
		groups, err := labelled.ReadGroups(file)
		if err != nil {
			return nil, task.Refuse(err)
		}
		return groups, nil
	}
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	switch {
	case split == task.Training:
		return t.data.Train, nil
	case split == task.Validation:
		return t.data.Validation, nil
	case len(t.data.Test) == 0:
		return nil, task.Refusef("there is no test split; name a file of groups by [data] test or by --file")
	}
	return t.data.Test, nil
}

func (t *Task) encoder() (*labelled.TextEncoder, error) {
	lengths := t.from.Lengths
	lengths.MaxLen = t.longest()
	return labelled.NewTextEncoder(t.tokenizer, lengths)
}

// pair is a query and a candidate.
type pair struct{ query, item string }

// candidates are those of a group, so many, the one that answers first. draw chooses a place below n among the others that are left; nil:
// they come in their order. Where there are too few they come again.
func candidates(g labelled.Group, count int, draw func(n int) int) []pair {
	all := []pair{{g.Query, g.Positive}}
	others := slices.Clone(g.Negatives)
	for i := range count - 1 {
		at := i % len(others)
		if draw != nil && i < len(others) {
			j := i + draw(len(others)-i)
			others[i], others[j] = others[j], others[i]
		}
		all = append(all, pair{g.Query, others[at]})
	}
	return all
}

// feed gives lists to a program that trains; rows beyond them count nothing.
func (t *Task) feed(s *model.Session, f task.Feed, e *labelled.TextEncoder, lists [][]pair) (*model.Program, int, error) {
	if t.network.Binary { // a loss that leaves no list out: one counts twice
		for i := 0; len(lists) < f.Rows; i++ {
			lists = append(lists, lists[i])
		}
	}
	p, err := t.run(s, f, e, f.Rows*t.network.Count, slices.Concat(lists...))
	if err != nil {
		return nil, 0, err
	}
	if p.Has("targets") {
		targets := make([]int, f.Rows)
		for i := range targets {
			if i >= len(lists) {
				targets[i] = ignored
			}
		}
		p.Feed(map[string][]int{"targets": targets})
	}
	return p, len(lists), nil
}

// ignored is the target of a list that is none.
const ignored = -1

// run feeds pairs to the program of a mode that has so many rows.
func (t *Task) run(s *model.Session, f task.Feed, e *labelled.TextEncoder, rows int, all []pair) (*model.Program, error) {
	examples := make([]labelled.Example, len(all))
	longest := 0
	for i, x := range all {
		var err error
		if examples[i], err = e.Encode(x.query, x.item); err != nil {
			return nil, &task.InputError{Index: i, Err: err}
		}
		longest = max(longest, len(examples[i].Tokens))
	}
	n := t.padded(f.Mode, longest)
	p, err := f.Program(s, model.Shape{Rows: rows, Length: n})
	if err != nil {
		return nil, err
	}
	pad := max(tokenizers.Specials(t.tokenizer).Pad, 0)
	tokens, types, lengths := slices.Repeat([]int{pad}, rows*n), make([]int, rows*n), make([]int, rows)
	query, item := make([]float32, rows*n), make([]float32, rows*n)
	for i, x := range examples {
		copy(tokens[i*n:], x.Tokens)
		copy(types[i*n:], x.Types)
		lengths[i] = len(x.Tokens)
		t.spans(query[i*n:(i+1)*n], item[i*n:(i+1)*n], x.Types)
	}
	p.Feed(map[string][]int{"tokens": tokens, "types": types, "lengths": lengths})
	if p.Has("query") {
		p.Floats("query").Set(query)
		p.Floats("item").Set(item)
	}
	return p, nil
}

// padded is the length to which rows of at most longest tokens are filled up: one of lengths where their memory is planned ahead, and little
// more than it takes where pairs are scored.
func (t *Task) padded(m model.Mode, longest int) int {
	if m == model.Score {
		const step = 8
		return min((longest+step-1)/step*step, t.longest())
	}
	n := t.longest()
	for _, l := range slices.Backward(t.lengths()) {
		if l >= longest {
			n = l
		}
	}
	return n
}

// spans sets the shares of each token in the means of query and item, whose product is over the root of the width.
func (t *Task) spans(query, item []float32, types []int) {
	var second int
	for _, kind := range types {
		second += kind
	}
	scale := 1 / math.Sqrt(math.Sqrt(float64(max(t.network.Width, 1))))
	for i, kind := range types {
		if kind == 0 {
			query[i] = float32(scale / float64(len(types)-second))
		} else {
			item[i] = float32(scale / float64(second))
		}
	}
}

// Evaluate implements task.Task.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	groups, err := t.part(ctx, m.Split, m.File)
	if err != nil {
		return task.Score{}, err
	}
	n := len(groups)
	if limit := cmp.Or(m.Limit, t.cfg.Eval.Examples); limit > 0 {
		n = min(n, limit)
	}
	var loss, reciprocal, first float64
	for i := range n {
		g := candidates(groups[i*len(groups)/n], t.network.Count, nil) // spread over all
		scores, err := t.scores(ctx, s, g)
		if err != nil {
			return task.Score{}, err
		}
		rank := 1
		for _, x := range scores[1:] {
			if x >= scores[0] {
				rank++
			}
		}
		loss += kernel.LogSumExp(scores, 1) - scores[0]
		reciprocal += 1 / float64(rank)
		if rank == 1 {
			first++
		}
		if m.After != nil {
			m.After(i+1, n, loss/float64(i+1))
		}
	}
	count := float64(n)
	score := task.NewScore(t, "examples", n, loss/count, reciprocal/count, first/count)
	if !kernel.Finite(loss) {
		return score, errors.New("train: the loss on the queries is no number")
	}
	return score, nil
}

// scores are those of pairs.
func (t *Task) scores(ctx context.Context, s *model.Session, all []pair) ([]float64, error) {
	encoder, err := t.encoder()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(all))
	for first := 0; first < len(all); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some := all[first:min(first+batch, len(all))]
		rows := batch
		if len(some) == 1 {
			rows = 1
		}
		p, err := t.run(s, task.Feed{Mode: model.Score}, encoder, rows, some)
		var about *task.InputError
		if errors.As(err, &about) {
			about.Index += first
		}
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			return nil, err
		}
		logits := p.Output("logits")
		for i := range some {
			out[first+i] = logits.At(i, 0)
		}
	}
	return out, nil
}

// batch is how many pairs are scored at once.
const batch = 32
