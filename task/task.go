package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
)

// Task is what a network is for: the next token of a text, or the label of a text or an image. Training, evaluation,
// calibration and prediction ask it and know no more of the data. One that trains is Stepped or Solved besides.
type Task interface {
	// Facts tell of the data: once it is read all, before that what the config or a checkpoint tells.
	Facts() Facts

	// Read reads the data, once. Where the data cannot be had, the error matches ErrUsage.
	Read(ctx context.Context) error

	// Dims are the sizes of the network that follow from the data; ErrUnread: only the data tells them.
	Dims() (model.Dims, error)

	// Metrics are what Evaluate measures, the loss first.
	Metrics() []Metric

	// Evaluate measures a network on a part of the data, which it reads if need be. A loss that is no number is an error
	// beside the score that has it.
	Evaluate(ctx context.Context, s *model.Session, m Measure) (Score, error)

	// Longest is how long a row of the data may be, in tokens or pixels, and the key of [data] that says so.
	Longest() (key string, n int)
}

// Stepped is a task that trains by gradients, batch after batch.
type Stepped interface {
	Task

	// Shapes are those of the programs that train on rows rows, the largest first; the data has been read.
	Shapes(rows int) []model.Shape

	// Batches feeds the session's programs. It reads the data if need be.
	Batches(ctx context.Context, s *model.Session, f Feed) (Stream, error)
}

// Solved is a task whose weights are computed from all training data, in one round or several, as by alternating least squares.
type Solved interface {
	Task

	// Rounds are how many there are, which the config tells.
	Rounds() int

	// Solve makes a round, which counts from 0, and returns what it measured, the loss first, by the name "loss". The store is
	// all that it has of earlier rounds, so that a run resumes from a checkpoint's weights. The data has been read.
	Solve(ctx context.Context, round int, s *nn.Store) ([]metrics.Value, error)
}

// What a task can do besides.
type (
	// Predictor says what a network makes of an input.
	Predictor interface {
		// Reads is what an input must hold.
		Reads() Form

		// Names are those of all values of a prediction, in the order of the network's scores.
		Names() []string

		// Predict answers each input. An error about one is an *InputError.
		Predict(ctx context.Context, s *model.Session, in []Input) ([]Prediction, error)
	}

	// Generator continues texts.
	Generator interface {
		Tokenizer() tokenizers.Tokenizer
		Ends() []int // tokens that end a text; none: nothing does

		// Sampling is how the model's makers want tokens chosen; of what they do not say it is otherwise.
		Sampling(otherwise model.Sampler) model.Sampler
	}

	// Embedder gives each text a vector. An error about one is an *InputError.
	Embedder interface {
		Embed(ctx context.Context, s *model.Session, texts []string, v Vectors) ([][]float32, error)
	}

	// Ranker gives each document a score for how well it answers a query. An error about one is an *InputError.
	Ranker interface {
		Ranks() bool // whether the model can: a classifier may have read single texts
		Rank(ctx context.Context, s *model.Session, query string, documents []string) ([]float64, error)
	}

	// Searcher measures how well a model finds the relevant ones of many documents, see [labelled.ReadRelevance]: NDCG@10 and
	// recall@100.
	Searcher interface {
		Search(ctx context.Context, s *model.Session, dir string, m Measure) (Score, error)
	}

	// Denoiser takes white noise of a deviation out of a picture of one channel, height by width pixels, row by row.
	Denoiser interface {
		Denoise(ctx context.Context, s *model.Session, picture []float64, height, width int, sigma float64) ([]float64, error)
	}

	// Drawer makes pictures of its own.
	Drawer interface {
		Draw(ctx context.Context, s *model.Session, d Drawing) (Drawn, error)
	}

	// Explainer draws what a network sees in an input.
	Explainer interface {
		Explain(ctx context.Context, s *model.Session, in Input) (*Picture, error)
	}

	// Recommender tells which items a user chooses next, of those that he has not.
	Recommender interface {
		// Find lists the items whose id or title has a text in it, ignoring case, so many at most; those that begin with it come
		// first.
		Find(text string, most int) []Item

		// Recommend lists the w.N best items, the best first. An error about what w has matches ErrUsage.
		Recommend(ctx context.Context, s *model.Session, w Wish) ([]Recommended, error)
	}

	// Attender tells how a network weighs the words of each text. It is an error of a network that does not.
	Attender interface {
		Attend(ctx context.Context, s *model.Session, in []Input) ([]Attention, error)
	}

	// Spoiler measures a network on data that is spoilt on purpose.
	Spoiler interface {
		Robustness(ctx context.Context, s *model.Session, m Measure) (Robustness, error)
	}

	// Warner tells, after an evaluation in training, what is wrong with a network though it has a loss; "": nothing is.
	Warner interface{ Warn(s *model.Session) string }

	// Suggester tells, after training, what to try.
	Suggester interface {
		Suggest(ctx context.Context, s *model.Session) (Suggestion, error)
	}

	// Surveyor finds out Facts and Dims, as far as that goes without reading the data.
	Surveyor interface {
		Survey(ctx context.Context) error
	}

	// Checker refuses at the start what would fail at the end of a run.
	Checker interface{ Check() error }

	// Initializer puts values that the data brings into a new network.
	Initializer interface{ Init(s *model.Session) error }

	// Sharer takes over what another task has read, where that is the same data.
	Sharer interface{ Share(from Task) }

	// Lister lists all examples of the data as a person sees them. truth is where more is known of each than its label, such as
	// another column of its file; "": nowhere.
	Lister interface {
		List(ctx context.Context, truth string) ([]Listed, error)
	}

	// Filer reads single files in place of a split. On is the config by which it reads that one; Columns refuses a config
	// that does not say what is where in a file.
	Filer interface {
		On(file string) recipe.Config
		Columns(recipe.Config) error
	}
)

// ErrUnread says that only the data could tell.
var ErrUnread = errors.New("train: the data has not been read")

// Facts do not change once the data is read.
type Facts struct {
	Line     string            // describes the data; "": not known
	Hash     string            // SHA-256 of the data; "": not read
	Bytes    int               // of data that is kept in memory
	Unit     string            // what the loss is the mean over and progress counts: "tokens" or "examples"
	PerRow   int               // units of a full row
	PerBatch int               // units of a full batch of [train] batch_size
	Rows     int               // of the training split; 0: not read
	Each     string            // what a row is: "text" or "image"
	Files    map[string][]byte // what a checkpoint keeps of the data
}

// Metric is one value of a score.
type Metric struct {
	Name    string
	Falling bool   // less is better
	Unit    string // "nats a token"; "": none
	Means   string // what the name does not say: "squared error"
	Digits  int    // behind the point, in one line for people
}

// Split is a part of the data.
type Split int

const (
	Validation Split = iota
	Test
	Training
)

// ParseSplit is the split that an evaluation can be asked for by name.
func ParseSplit(name string) (Split, error) {
	switch name {
	case Validation.String():
		return Validation, nil
	case Test.String():
		return Test, nil
	}
	return 0, fmt.Errorf("split %s is unknown; want validation or test", name)
}

func (s Split) String() string { return [...]string{"validation", "test", "training"}[s] }

// Feed says what a stream is of. The training split is shuffled and has no end; others, and a part of it, come once, in order.
type Feed struct {
	Mode  model.Mode // of its programs; in Train the data is augmented
	Split Split
	File  string // in place of the split; "": none
	Rows  int    // of a batch; 0: [train] batch_size
	Seed  uint64 // of the order of what is shuffled
	Limit int    // units in all, spread over the split; 0: no limit

	// Stride is by how many tokens the windows of a file of text lie apart; 0: they do not overlap.
	Stride int
}

// Endless tells whether the stream has no end.
func (f Feed) Endless() bool { return f.File == "" && f.Split == Training && f.Limit == 0 }

// Stream feeds programs with one batch after the other.
type Stream interface {
	// Next feeds the next batch to the program of its shape and returns that and the number of its targets; io.EOF: there
	// is none.
	Next() (p *model.Program, targets int, err error)

	// Batches are how many there are; 0: no end.
	Batches() int

	// Lengths are how many tokens of each row of the last batch count; nil: all.
	Lengths() []int

	// Cursor is the place of the next batch of a stream without end, Seek continues there.
	Cursor() data.Cursor
	Seek(data.Cursor) error
}

// Measure says how to evaluate.
type Measure struct {
	Split Split
	File  string // measured in place of the split; "": none
	Limit int    // units at most; 0: as many as [eval] says

	Stride int // of the windows of a file of text, of which each scores only what those before it did not; 0: they do not overlap

	// After, if not nil, is told of every batch and of the mean loss so far.
	After func(done, total int, loss float64)
}

// Files are those that a checkpoint keeps.
type Files interface {
	File(name string) ([]byte, error)
	Dir() string // for messages
}

// Vectors say which vectors texts get.
type Vectors struct {
	Prompt string // name of a prompt of the model, which comes before each text; "": its default, if any
	Dims   int    // how many of the first numbers are kept, of models that are trained for it; 0: all
}

// Form is what an Input must hold.
type Form int

const (
	OneText Form = iota
	TwoTexts
	OneImage
)

// Input is what a prediction is made of.
type Input struct {
	Texts []string
	Image io.Reader // PNG or JPEG

	// Domain is where the input comes from, for a model whose classes were discovered in several domains; "": not known.
	Domain string
}

// Listed is an example of the data.
type Listed struct {
	Text  string
	Image []byte // a PNG file, of an example that is an image
	Name  string // of its file; "": it has none of its own
	Label string
	Truth string // "": not told
	Held  bool   // the network was not trained on it
}

// InputError is about one of several inputs.
type InputError struct {
	Index int // from 0
	Err   error
}

func (e *InputError) Error() string { return fmt.Sprintf("input %d: %v", e.Index+1, e.Err) }

func (e *InputError) Unwrap() error { return e.Err }

// Drawing says how a picture is drawn.
type Drawing struct {
	Steps    int
	Schedule string // how noise falls
	Seed     uint64
}

// Drawn is a grey picture, row by row; 0 is black, 1 white.
type Drawn struct {
	Side   int // pixels
	Values []float64
}

// Prediction is what a network makes of an input, the likeliest first: the labels with their probabilities, or one score.
type Prediction []metrics.Value

// Attention is how the heads of a network weigh what they read.
type Attention struct {
	Tokens []string    // what the model read
	Heads  [][]float64 // for each head, the weight of each token; they sum to one
}

// Wish is what is known of someone who wants recommendations.
type Wish struct {
	User   string            // id of a user of the data; "": somebody else
	Items  []string          // ids or titles of items that he likes
	Fields map[string]string // values of fields of users
	N      int               // items to recommend
	Why    bool              // whether to tell what speaks for each
}

// Item is something to recommend.
type Item struct {
	ID    string `json:"id" doc:"of the item"`
	Title string `json:"title,omitempty" doc:"if there is one"`
}

// Name is the title or, of an item without one, the id.
func (i Item) Name() string { return cmp.Or(i.Title, i.ID) }

// Recommended is an item with its score.
type Recommended struct {
	Item
	Score float64  `json:"score" doc:"higher is better"`
	Why   []Reason `json:"why,omitempty" doc:"what speaks for it, the strongest first, fields after items"`
}

// Reason is what speaks for an item: an item that the user has, or a field with its value.
type Reason struct {
	What   string  `json:"what" doc:"name of an item that the user has, or field=value"`
	Kind   string  `json:"kind" doc:"item or field"`
	Weight float64 `json:"weight" doc:"share of the score, or weight of the field, 1 for one like others"`
}

// Suggestion is what to try after training.
type Suggestion struct {
	Sample  string   // what the model wrote, prompt included; "" if none was asked for
	Command string   // of model, on the run's folder; "": none
	Args    []string // of that command
	From    string   // a file that it reads as standard input; "": none
}

// MetricOf is the task's metric of that name.
func MetricOf(t Task, name string) Metric {
	for _, m := range t.Metrics() {
		if m.Name == name {
			return m
		}
	}
	return Metric{Name: name}
}

// SameData tells whether two configs read the same data; augmentation is for training's loader.
func SameData(a, b recipe.Data) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(d recipe.Data) recipe.Data {
	if s, ok := d.Images(); ok {
		return recipe.From(s.Plain())
	}
	return d
}
