package train

import (
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
)

// Accountings are the ways to count memory other than this program's own.
var Accountings = []string{"paper"}

// Account is memory as SLTrain's paper counts it (Han et al. 2024, table 2): 16-bit weights, two 16-bit moments each,
// 64-bit indices; gradients and activations are left out. It is arithmetic: no run of this program stores such numbers.
type Account struct {
	Parameters int
	Sparse     int // of those, entries of S
}

// Weights is in bytes: 16 bits a parameter.
func (a Account) Weights() int { return 2 * a.Parameters }

// Moments is in bytes: two of 16 bits a parameter.
func (a Account) Moments() int { return 2 * 2 * a.Parameters }

// Indices is in bytes: 64 bits an entry of S.
func (a Account) Indices() int { return 8 * a.Sparse }

// Total is in bytes.
func (a Account) Total() int { return a.Weights() + a.Moments() + a.Indices() }

// accountOf counts a network without allocating it.
func accountOf(cfg Config, dims model.Dims) (Account, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	if _, err := cfg.Model.NewSession(dims, store, model.Options{}); err != nil {
		return Account{}, err
	}
	a := Account{Parameters: store.Parameters()}
	for _, name := range store.Layers() {
		a.Sparse += store.Layer(name).Nonzeros()
	}
	return a, nil
}

// accounts counts a network as it is, with its sparse parts left out (low rank), and with dense layers.
type accounts struct{ Configured, LowRank, Full Account }

// accountsOf counts the three networks of a config.
func accountsOf(cfg Config, dims model.Dims) (accounts, error) {
	var a accounts
	var err error
	if a.Configured, err = accountOf(cfg, dims); err != nil {
		return a, err
	}
	full, low := cfg, cfg
	full.Model.Linear = nil
	low.Model.Linear = append([]nn.Rule(nil), cfg.Model.Linear...)
	for i := range low.Model.Linear {
		l := &low.Model.Linear[i]
		if k, ok := l.Of.(interface{ WithoutSparse() nn.Kind }); ok {
			*l = nn.Rule{Match: l.Match, OneOf: nn.As(k.WithoutSparse())}
		}
	}
	if a.LowRank, err = accountOf(low, dims); err != nil {
		return a, err
	}
	a.Full, err = accountOf(full, dims)
	return a, err
}

// Accounting is the table of a way of counting, each line after prefix. It is an error that matches ErrUsage if there
// is no such way.
func (p Preview) Accounting(cfg Config, name, prefix string) (string, error) {
	if name != "paper" {
		return "", fmt.Errorf("%w: --accounting = %q is unknown; want one of %s", ErrUsage, name, strings.Join(Accountings, ", "))
	}
	a, err := accountsOf(cfg, p.dims)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUsage, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%sthe paper's accounting: arithmetic with bfloat16 values and 64-bit indices, without gradients and\n", prefix)
	fmt.Fprintf(&b, "%sactivations; this program trains in float32 and stores 32-bit indices\n", prefix)
	fmt.Fprintf(&b, "%s  %-12s %10s %9s %9s %9s %9s\n", prefix, "", "parameters", "weights", "moments", "indices", "total")
	for _, r := range []struct {
		name string
		Account
	}{{"this config", a.Configured}, {"low rank", a.LowRank}, {"full rank", a.Full}} {
		text := func(n int) string { return fmt.Sprintf("%.3f GB", float64(n)/1e9) }
		fmt.Fprintf(&b, "%s  %-12s %9.1fM %9s %9s %9s %9s\n", prefix, r.name, float64(r.Parameters)/1e6, text(r.Weights()), text(r.Moments()), text(r.Indices()), text(r.Total()))
	}
	return b.String(), nil
}
