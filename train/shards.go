package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/group"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train/shard"
)

// NewAmong is [New], or with like [NewFrom], of a run on which the processes of a group work together. All of them call it alike; rank 0
// writes the run's folder and tells of the run.
func NewAmong(ctx context.Context, g *group.Group, like *saved.Model, cfg recipe.Config, dir string, force bool, out io.Writer) (*Trainer, error) {
	from := origin{known: saved.Known(), group: g}
	if like != nil {
		from.known, from.like = like.Known, like
	}
	return newRun(ctx, cfg, dir, force, from, out)
}

// ResumeAmong is [Resume] of a run by the processes of a group, whose number may be another than before. All of them read the folder.
func ResumeAmong(ctx context.Context, g *group.Group, dir, base string, set []string, out io.Writer) (t *Trainer, done bool, err error) {
	return resume(ctx, dir, base, set, origin{known: saved.Known(), group: g}, out)
}

// shards is the sum of a step's shards; nil: the step is one part.
type shards struct {
	sum   *shard.Sum
	group *group.Group
	agree bool // asked to stop, by all ranks together
}

// shardsOf makes the sums of a run, which are its gradients' sink.
func shardsOf(c recipe.Train, store *nn.Store, g *group.Group) (*shards, error) {
	if c.Shards == 0 {
		if g.Size() > 1 {
			return nil, fmt.Errorf("[train] shards = 0, and %d processes share a step: want a power of two that is at least as large, as by --set train.shards=%d", g.Size(), g.Size())
		}
		return nil, nil
	}
	sum, err := shard.New(store, c.Shards, g)
	return &shards{sum: sum, group: g}, err
}

// step is what one step has added so far.
type stepSums struct {
	of     *shards
	per    int       // micro-batches of a shard
	micros int       // of the step
	losses []float64 // by shard
}

// begin starts a step.
func (s *shards) begin(c recipe.Train) *stepSums {
	x := &stepSums{of: s, per: c.Micros(), micros: c.Micros(), losses: make([]float64, max(c.Shards, 1))}
	if s != nil {
		x.per /= c.Shards
		s.sum.Begin()
	}
	return x
}

// owns tells whether a micro-batch is for this process.
func (x *stepSums) owns(micro int) bool { return x.of == nil || x.of.sum.Owns(micro/x.per) }

// looks tells whether a micro-batch is the one whose activations are told of: the last, or with shards the first, which is always on
// rank 0.
func (x *stepSums) looks(micro int) bool {
	if x.of == nil {
		return micro == x.micros-1
	}
	return micro == 0
}

// micro says to which gradients a micro-batch adds.
func (x *stepSums) micro(grads *nn.Gradients, micro int) {
	if x.of == nil {
		grads.Add = micro > 0
		return
	}
	x.of.sum.Micro(micro%x.per == 0, micro%x.per == x.per-1)
}

// add adds the loss of a micro-batch, after which its shard may be complete.
func (x *stepSums) add(micro int, loss float64) error {
	x.losses[micro/x.per] += loss
	if x.of != nil && micro%x.per == x.per-1 {
		return x.of.sum.Next()
	}
	return nil
}

// gather completes the sums of a step over all processes: its loss, and in t.grads its gradients. The processes agree here whether they
// were asked to stop.
func (t *Trainer) gather(x *stepSums) (loss float64, err error) {
	if x.of == nil {
		return x.losses[0], nil
	}
	g := x.of.group
	if g.Size() > 1 {
		if err := x.of.share(x.losses, t.asked()); err != nil {
			return 0, err
		}
	}
	t.grads, err = x.of.sum.Total()
	return shard.Tree(x.losses), err
}

// share gives each process the losses of all shards, and whether any of them was asked to stop.
func (s *shards) share(losses []float64, asked bool) error {
	message := []byte{0}
	if asked {
		message[0] = 1
	}
	for i, x := range losses {
		if s.sum.Owns(i) {
			message = binary.LittleEndian.AppendUint64(message, math.Float64bits(x))
		}
	}
	all, err := s.group.Share(message)
	if err != nil {
		return err
	}
	at := 0
	for rank, m := range all {
		if len(m) != len(message) {
			return fmt.Errorf("rank %d brings %d bytes at the end of a step, rank %d has %d", rank, len(m), s.group.Rank(), len(message))
		}
		s.agree = s.agree || m[0] == 1
		for m = m[1:]; len(m) > 0; m = m[8:] {
			losses[at], at = math.Float64frombits(binary.LittleEndian.Uint64(m)), at+1
		}
	}
	return nil
}

// leads tells whether this process writes the run's folder.
func (t *Trainer) leads() bool { return t.group.Rank() == 0 }

// stopper is what tells a run to stop: at once of one process; of several, what all have agreed on at a step's end.
func (t *Trainer) stopper(asked func() bool) func() bool {
	t.asked = asked
	if t.group.Size() == 1 {
		return asked
	}
	return func() bool { return t.shards.agree }
}

// meet compares what the processes are to work on, and takes from rank 0 what it alone has read.
func (t *Trainer) meet() error {
	if t.group.Size() == 1 {
		return nil
	}
	config, err := configs.Encode(t.cfg)
	if err != nil {
		return err
	}
	own := meeting{Process: t.newProcess(config), Weights: t.weights(), Start: t.start, StartMetric: t.startMetric, Loss: t.trainLoss}
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	all, err := t.group.Share(text)
	if err != nil {
		return err
	}
	var first meeting
	for rank, text := range all {
		var m meeting
		if err := json.Unmarshal(text, &m); err != nil {
			return fmt.Errorf("rank %d: %w", rank, err)
		}
		if rank == 0 {
			first = m
			continue
		}
		if what := first.differs(m); len(what) > 0 {
			return fmt.Errorf("%w: rank %d differs from rank 0: %s; want all processes to run the same program with the same config, data and folder, on processors of one kind", task.ErrUsage, rank, strings.Join(what, ", "))
		}
	}
	t.start, t.startMetric, t.trainLoss = first.Start, first.StartMetric, first.Loss
	return nil
}

// meeting is what a process says of itself at the start.
type meeting struct {
	Process
	Weights string

	Start, StartMetric, Loss float64 // what rank 0 has read of the run's metrics
}

// differs are the names of what would make the processes' bytes differ.
func (m meeting) differs(other meeting) (what []string) {
	for _, x := range []struct{ name, a, b string }{
		{"version", m.Version, other.Version}, {"go", m.Go, other.Go}, {"architecture", m.Arch, other.Arch},
		{"instruction set", m.InstructionSet, other.InstructionSet}, {"data", m.Corpus, other.Corpus}, {"config", m.Config, other.Config},
		{"step", fmt.Sprint(m.Step), fmt.Sprint(other.Step)}, {"weights", m.Weights, other.Weights},
	} {
		if x.a != x.b {
			what = append(what, fmt.Sprintf("%s %.40q, not %.40q", x.name, x.b, x.a))
		}
	}
	return what
}

// weights is a hash of the parameters and of the optimizer's state.
func (t *Trainer) weights() string {
	h := sha256.New()
	arrays := saved.Arrays(t.store)
	if t.optimizer != nil && t.zero == nil { // a part of the state is no other's
		arrays = slices.Concat(arrays, t.optimizer.Arrays())
	}
	for _, a := range arrays {
		io.WriteString(h, a.Name)
		binary.Write(h, binary.LittleEndian, a.Data)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}
