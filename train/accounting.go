package train

import (
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/cost"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// Accountings are the ways to count memory other than this program's own.
var Accountings = []string{"paper"}

// accountOf counts a network without allocating it.
func accountOf(name string, cfg recipe.Config, dims model.Dims) (cost.Account, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	if _, err := cfg.Model.NewSession(dims, store, model.Options{}); err != nil {
		return cost.Account{}, err
	}
	a := cost.Account{Name: name, Parameters: store.Parameters()}
	for _, name := range store.Layers() {
		a.Sparse += store.Layer(name).Nonzeros()
	}
	return a, nil
}

// accounts counts a network as it is, with its sparse parts left out (low rank), and with dense layers.
type accounts struct{ Configured, LowRank, Full cost.Account }

// accountsOf counts the three networks of a config.
func accountsOf(cfg recipe.Config, dims model.Dims) (accounts, error) {
	var a accounts
	var err error
	if a.Configured, err = accountOf("this config", cfg, dims); err != nil {
		return a, err
	}
	full, low := cfg, cfg
	full.Model = cfg.Model.Dense()
	low.Model.Linear = append([]nn.Rule(nil), cfg.Model.Linear...)
	for i := range low.Model.Linear {
		l := &low.Model.Linear[i]
		if k, ok := l.Of.(interface{ WithoutSparse() nn.Kind }); ok {
			*l = nn.Rule{Match: l.Match, OneOf: nn.As(k.WithoutSparse())}
		}
	}
	if a.LowRank, err = accountOf("low rank", low, dims); err != nil {
		return a, err
	}
	a.Full, err = accountOf("full rank", full, dims)
	return a, err
}

// Accounting is the table of a way of counting, each line after prefix. It is an error that matches ErrUsage if there
// is no such way.
func (p Preview) Accounting(cfg recipe.Config, name, prefix string) (string, error) {
	if name != "paper" {
		return "", fmt.Errorf("%w: --accounting = %q is unknown; want one of %s", task.ErrUsage, name, strings.Join(Accountings, ", "))
	}
	a, err := accountsOf(cfg, p.dims)
	if err != nil {
		return "", fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	return cost.AccountTable(prefix, a.Configured, a.LowRank, a.Full), nil
}
