package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sparrow/cost"
	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/internal/cli"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// estimate is what cost prints, as JSON.
type estimate struct {
	Model      string          `json:"model"`
	Context    int             `json:"context"`
	Parameters cost.Parameters `json:"parameters"`
	cost.Work                  // of one token
	Intensity  float64         `json:"intensity"` // attention's FLOPs a byte of the cache
	Sparsity   float64         `json:"sparsity"`  // share of a layer's experts that a token uses
	Cards      []cardEstimate  `json:"cards"`
	Cheapest   pairEstimate    `json:"cheapest"`
	Notes      []string        `json:"notes,omitempty"`
}

// cardEstimate is one card's prices, in USD for a million tokens.
type cardEstimate struct {
	Card         string  `json:"card"`
	Format       string  `json:"format"` // of its multiplications
	AttentionUSD float64 `json:"attention_usd"`
	Bound        string  `json:"attention_bound"` // memory | compute
	FFNUSD       float64 `json:"ffn_usd"`
	MinSparsity  float64 `json:"min_sparsity"`
	title        string
}

// pairEstimate is the cheapest card for attention with the cheapest for FFN.
type pairEstimate struct {
	Attention string  `json:"attention"`
	FFN       string  `json:"ffn"`
	USD       float64 `json:"usd"`
	titles    [2]string
}

func costCommand() *cobra.Command {
	var config string
	var context int
	var names []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "cost -c FILE [--context N] [--hardware CARD,...]",
		Short: "Estimate what decoding a token costs on data centre cards",
		Long: `Estimate what decoding a token costs on data centre cards, by the analytic model of the Step-3 report.

FILE is a model's sizes (configs/cost/*.toml) or a training config of a decoder. Keys and values are counted at 8 bits,
multiplications in FP8 on H800 and H20 and in BF16 on A800 and 910B.`,
		Example: "  model cost -c configs/cost/step3.toml --context 32768\n  model cost -c configs/quickstart.toml --hardware h20,a800 --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if context < 1 || context > maxContext {
				return cli.Usagef("--context = %d; want 1 to %d tokens", context, maxContext)
			}
			cards, err := cardsNamed(names)
			if err != nil {
				return err
			}
			m, notes, err := loadSizes(config)
			if err != nil {
				return err
			}
			e := estimateCost(m, context, cards)
			e.Notes = notes
			if asJSON {
				enc := json.NewEncoder(os.Stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(e)
			}
			return e.print()
		},
	}
	c.Flags().StringVarP(&config, "config", "c", "", "TOML file with the sizes of a model")
	c.Flags().IntVar(&context, "context", 8192, "tokens that a new one attends to")
	c.Flags().StringSliceVar(&names, "hardware", cardNames(), "cards to compare")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.MarkFlagRequired("config")
	return c
}

// maxContext bounds --context: a billion tokens, which no model has.
const maxContext = 1_000_000_000

// cardNames lists the cards that --hardware takes.
func cardNames() []string {
	var names []string
	for _, c := range cost.Cards {
		names = append(names, c.Name)
	}
	return names
}

// cardsNamed finds cards by name, each once, in the order asked for.
func cardsNamed(names []string) ([]cost.Card, error) {
	var cards []cost.Card
	taken := map[string]bool{}
	for _, name := range names {
		found := false
		for _, c := range cost.Cards {
			if c.Name == strings.ToLower(strings.TrimSpace(name)) {
				found = true
				if !taken[c.Name] {
					cards = append(cards, c)
				}
				taken[c.Name] = true
			}
		}
		if !found {
			return nil, cli.Usagef("--hardware: no card %q; want some of %s", name, strings.Join(cardNames(), ", "))
		}
	}
	if len(cards) == 0 {
		return nil, cli.Usagef("--hardware is empty; want some of %s", strings.Join(cardNames(), ", "))
	}
	return cards, nil
}

func estimateCost(m cost.Config, context int, cards []cost.Card) estimate {
	w := m.Work(context)
	e := estimate{Model: m.Name, Context: context, Parameters: m.Parameters(), Work: w, Intensity: w.Intensity(), Sparsity: m.Sparsity()}
	for _, c := range cards {
		usd, memoryBound := c.AttentionUSD(w)
		one := cardEstimate{Card: c.Name, Format: "bf16", AttentionUSD: usd, Bound: "compute", FFNUSD: c.FFNUSD(w), MinSparsity: c.MinSparsity(m), title: c.Title}
		if c.FP8 > 0 {
			one.Format = "fp8"
		}
		if memoryBound {
			one.Bound = "memory"
		}
		e.Cards = append(e.Cards, one)
	}
	p := cost.Cheapest(w, cards)
	e.Cheapest = pairEstimate{p.Attention.Name, p.FFN.Name, p.USD, [2]string{p.Attention.Title, p.FFN.Title}}
	return e
}

func (e estimate) print() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s\n", e.Model)
	fmt.Fprintf(w, "parameters\t%s, of which a token uses %s\n", count(e.Parameters.Total), count(e.Parameters.Activated))
	fmt.Fprintf(w, "attention\t%s parameters a layer\n\n", count(e.Parameters.AttentionPerLayer))
	fmt.Fprintf(w, "a token after %d\n", e.Context)
	fmt.Fprintf(w, "KV bytes\t%.3g\n", e.KVBytes)
	fmt.Fprintf(w, "attention FLOPs\t%.3g\t%.4g a byte\n", e.AttentionFLOPs, e.Intensity)
	fmt.Fprintf(w, "linear FLOPs\t%.3g\n", e.LinearFLOPs)
	fmt.Fprintf(w, "FFN FLOPs\t%.3g\n", e.FFNFLOPs)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\ncard\tformat\tattention\tbound by\tFFN\tboth\tleast sparsity")
	for _, c := range e.Cards {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.title, strings.ToUpper(c.Format), decimals(c.AttentionUSD), c.Bound, decimals(c.FFNUSD), decimals(c.AttentionUSD+c.FFNUSD), decimals(c.MinSparsity))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("USD per million tokens; sparsity is the share of its experts that a layer uses for a token")
	fmt.Printf("\ncheapest   attention on %s, FFN on %s: %s USD per million tokens\n", e.Cheapest.titles[0], e.Cheapest.titles[1], decimals(e.Cheapest.USD))
	if e.Sparsity < 1 {
		var slow []string
		for _, c := range e.Cards {
			if e.Sparsity < c.MinSparsity {
				slow = append(slow, c.title)
			}
		}
		keeps := "the network of each card keeps up"
		if len(slow) > 0 {
			keeps = "too sparse for the network of " + strings.Join(slow, ", ")
		}
		fmt.Printf("sparsity   %s: %s\n", decimals(e.Sparsity), keeps)
	}
	for _, n := range e.Notes {
		fmt.Println("note      ", n)
	}
	return nil
}

// decimals writes three of them, as the report's tables do, or two digits of what is too small for those.
func decimals(x float64) string {
	if x < 0.0095 {
		return fmt.Sprintf("%.2g", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// count writes a number of parameters as people do.
func count(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fB", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", n/1e6)
	}
	return fmt.Sprintf("%.1fk", n/1e3)
}

// ofRun finds the tables that a training config has and a model's sizes have not.
var ofRun = regexp.MustCompile(`(?m)^\s*\[\[?\s*(model|data|train|eval|checkpoint|sample)\s*[.\]]`)

// loadSizes reads a model's sizes, or maps a training config to them; notes say what is then left out.
func loadSizes(file string) (m cost.Config, notes []string, err error) {
	text, err := data.ReadFile(file)
	if err != nil || !ofRun.Match(text) {
		m, err = cost.Load(file) // also says why a file cannot be read
		return m, nil, err
	}
	cfg, err := recipe.Load(file, nil)
	if err != nil {
		return m, nil, err
	}
	body, ok := cfg.Model.Body().(decoder.Config)
	if !ok {
		return m, nil, cli.Usagef("%s: [model] kind = %q; want a decoder, of which alone the cost is known", file, cfg.Model.Name)
	}
	made, _ := cfg.Data.Tokenizer()
	_, vocab, err := tokenizers.Known(context.Background(), made)
	if err != nil || vocab == 0 {
		notes = append(notes, "the vocabulary of tokenizer "+made.Tokenizer+" is not known here: parameters are without embeddings")
	}
	m = body.Sizes(vocab)
	m.Name = cfg.Name
	for _, l := range cfg.Model.Linear {
		if !l.Dense() {
			notes = append(notes, "factored layers count as the dense ones that model merge makes of them")
			break
		}
	}
	return m, notes, nil
}
