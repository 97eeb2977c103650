package attention

import (
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// kind is a kind of attention over a sequence: what it reads of a config, what it is made of, and what is counted of it. Each
// stands in the file of its layer.
type kind struct {
	name string
	keys []string // that it reads and not every kind does

	validate   func(c Config, r *configs.Report) // beside what holds for all
	kvHeads    func(c Config) int                // whose keys and values exist side by side in training
	queryRank  func(c Config, dModel int) int    // width between the two matrices that make a query; 0: one matrix
	rotaryDim  func(c Config, dModel int) int    // width of the part of a head that positions turn
	shared     func(c Config, dModel int) int    // width of the features that keys are made from
	parameters func(c Config, d, m, k float64, query func(width float64) float64) float64
	cache      func(c Config, dModel int) op.CacheLayout // of one token in one layer
	turnsLater bool                                      // keys are cached before they are turned

	layer func(b *nn.Builder, cfg LayerConfig) Attention
}

// kinds are the attentions that exist.
func kinds() []kind {
	return []kind{
		headsOf("mha", func(c Config) int { return c.NHead }, ownHeads),
		headsOf("gqa", func(c Config) int { return c.NKVHead }, groupedHeads),
		headsOf("mqa", oneHead, singleHeadOnly),
		factorized("mfa", false),
		factorized("mfa_kr", true),
		latentKind(),
	}
}

// find is the row of the config's kind; ok is false if there is none.
func (c Config) find() (k kind, ok bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == c.Kind })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// kind is the row of the config's kind, which Validate knows.
func (c Config) kind() kind {
	k, ok := c.find()
	if !ok {
		panic("attention: no kind " + c.Kind) // refused by Validate
	}
	return k
}

// readers names the kinds that read a key.
func readers(key string) string {
	var names []string
	for _, k := range kinds() {
		if slices.Contains(k.keys, key) {
			names = append(names, k.name)
		}
	}
	if n := len(names) - 1; n > 0 {
		return strings.Join(names[:n], ", ") + " and " + names[n]
	}
	return strings.Join(names, "")
}

func oneHead(Config) int { return 1 }

// singleHeadOnly refuses more than the one key/value head that a kind has.
func singleHeadOnly(c Config, r *configs.Report) {
	if c.NKVHead > 1 {
		r.Errorf("n_kv_head", "is not 1, as in %s; for more use kind = \"gqa\"", c.Kind)
	}
}

func wholeHead(c Config, dModel int) int { return c.Dim(dModel) }
