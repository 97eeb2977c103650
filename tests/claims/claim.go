package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/recipe"
)

// Claim is a file of tests/claims: what a paper says, the runs that test it and
// what they are expected to show.
type Claim struct {
	Title     string `toml:"title"`
	Statement string `toml:"statement"` // what the paper says, in one or two sentences
	Paper     string `toml:"paper"`     // reference and the place in it

	// Parallel runs are made side by side with one thread each. Without it there
	// is one at a time, with all threads: for runs that fill the memory.
	Parallel bool `toml:"parallel"`
	Seeds    int  `toml:"seeds"` // each arm is trained with seeds 1 to this
	// LearningRates are tried for every arm, with seed 1 and half the steps; the
	// best is the arm's. Empty: [run.train] learning_rate for all.
	LearningRates []float64 `toml:"learning_rates"`
	// Recall and Split make the data of [run.data].
	Recall *Recall `toml:"recall"`
	Split  *Split  `toml:"split"`
	// Pretrain are overrides of [run] that make the run before, of which arms may start; Imported is a network from elsewhere.
	Pretrain []string  `toml:"pretrain"`
	Imported *Imported `toml:"imported"`
	// Hours are how long all of it is expected to take on two cores, where no earlier result tells; 0: not known.
	Hours float64 `toml:"hours"`
	// RootFrom names an environment variable that, where it is set, replaces [run.data]
	// root, for images that no module has, or holds the tables of [run.data]. Without that folder the claim is skipped.
	RootFrom string `toml:"root_from"`

	Run    recipe.Config `toml:"run"`    // what all arms have in common
	Quick  Quick         `toml:"quick"`  // how --quick makes it small
	Arms   []Arm         `toml:"arm"`    // the networks that are compared
	Expect []Expect      `toml:"expect"` // what the comparison shall show
	Sweep  *Sweep        `toml:"sweep"`  // of a claim about cost, in place of seeds, learning rates and [[expect]]

	Compress *Compression `toml:"compress"` // of a claim about compression, in place of [[expect]]

	Name   string `toml:"-"` // of the file, without .toml
	SHA256 string `toml:"-"` // of the file
	path   string

	tunedLast []string // overrides of fine-tuned compressions after those of the arm, with --quick
}

// Quick holds overrides of [run] that make every run tiny; those of an arm come after.
type Quick struct {
	Set   []string `toml:"set"`
	Sizes []int    `toml:"sizes"` // of a sweep: each in the place of one

	Pretrain []string `toml:"pretrain"` // after those of pre-training

	// Overrides of every arm's compression, and of those that are fine-tuned.
	Compress []string `toml:"compress"`
	Finetune []string `toml:"finetune"`
}

// Arm is one of the networks: [run] with overrides, in the words of train run --set.
type Arm struct {
	Name  string   `toml:"name"`  // for [[expect]]
	Label string   `toml:"label"` // for tables and figures; "": the name
	Set   []string `toml:"set"`

	From string `toml:"from"` // what its run starts from: "pretrain", "imported", or random weights

	// For sweeps.
	Measure string     `toml:"measure"` // "": the sweep's
	At      [][]string `toml:"at"`      // overrides after Set at each of the sizes; empty: none

	// For compressions, where Set are overrides in the words of compress run --set.
	Ratios []float64 `toml:"ratios"` // empty: those of [compress]
}

// title is how tables and figures call the arm.
func (a Arm) title() string {
	if a.Label != "" {
		return a.Label
	}
	return a.Name
}

// armName keeps names short and safe.
var armName = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`)

// Load reads a claim. Errors are configs.Problems, with their lines.
func Load(path string) (*Claim, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	c := &Claim{Parallel: true, Seeds: 3, Run: recipe.Default(), path: path}
	c.Name = strings.TrimSuffix(filepath.Base(path), ".toml")
	c.Run.Name = "claim" // a run is the same whatever the claim is called
	if err := configs.Decode(path, text, c, configs.Options{Lists: recipe.Lists()}); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	c.SHA256 = hex.EncodeToString(sum[:])
	return c, nil
}

// loadClaims reads the named claims, or all of dir.
func loadClaims(dir string, names []string) ([]*Claim, error) {
	known, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil {
		return nil, err
	}
	paths := known
	if len(names) > 0 {
		paths = nil
	}
	for _, name := range names {
		path := name
		if !strings.HasSuffix(name, ".toml") {
			path = filepath.Join(dir, name+".toml")
			if !slices.Contains(known, path) {
				return nil, fmt.Errorf("%w: no claim %q; want one of %s", errUsage, name, strings.Join(claimNames(known), ", "))
			}
		}
		paths = append(paths, path)
	}
	var claims []*Claim
	for _, path := range paths {
		c, err := Load(path)
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func claimNames(paths []string) []string {
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".toml"))
	}
	return names
}

// Config is the resolved config of arm i.
func (c *Claim) Config(i int) (recipe.Config, error) {
	if c.Compress != nil { // the arms are what is made of one network
		return c.Run, nil
	}
	return override(c.Run, c.Arms[i].Set)
}

// override lays overrides over a config.
func override(base recipe.Config, set []string) (recipe.Config, error) {
	cfg := recipe.Default()
	text, err := configs.Encode(base)
	if err != nil {
		return cfg, err
	}
	return cfg, configs.Decode("[run]", text, &cfg, configs.Options{Lists: recipe.Lists(), Set: set, Encoded: true})
}

// shrink turns the claim into its --quick form.
func (c *Claim) shrink() error {
	var err error
	c.Run, err = override(c.Run, c.Quick.Set)
	c.Pretrain = slices.Concat(c.Pretrain, c.Quick.Pretrain)
	c.Seeds = min(c.Seeds, 2)
	if c.Sweep != nil {
		c.Sweep.shrink(c.Quick.Sizes)
	}
	if c.Compress != nil {
		c.shrinkCompression()
	}
	return err
}

// arm finds an arm by its name, -1 if there is none.
func (c *Claim) arm(name string) int {
	return slices.IndexFunc(c.Arms, func(a Arm) bool { return a.Name == name })
}

// Validate reports what cannot be compared.
func (c *Claim) Validate(r *configs.Report) {
	for key, v := range map[string]string{"title": c.Title, "statement": c.Statement, "paper": c.Paper} {
		if v == "" {
			r.Errorf(key, "is empty; a claim says what it is about and where it comes from")
		}
	}
	if c.Seeds < 1 {
		r.Errorf("seeds", "is too small; want at least 1")
	}
	if !(c.Hours >= 0 && c.Hours <= mostHours) {
		r.Errorf("hours", "is out of range; want 0 (not known) to %d, what a claim may take on two cores", mostHours)
	}
	for _, rate := range c.LearningRates {
		if !(rate > 0) {
			r.Errorf("learning_rates", "has one that is not above 0")
		}
	}
	if _, err := override(c.Run, c.Quick.Set); err != nil {
		r.Errorf("quick.set", "does not apply to [run]: %v", err)
	}
	c.validateStarts(r)
	c.validateMade(r)
	if len(c.Arms) == 0 {
		r.Errorf("arm", "is missing; want at least one [[arm]]")
	}
	for i, a := range c.Arms {
		switch {
		case !armName.MatchString(a.Name):
			r.Errorf(fmt.Sprintf("arm.%d.name", i), "is no name; want lower-case letters, digits and . + -")
		case c.arm(a.Name) != i:
			r.Errorf(fmt.Sprintf("arm.%d.name", i), "is the name of an earlier arm too")
		}
		if c.Sweep == nil && (a.Measure != "" || len(a.At) > 0) {
			r.Errorf(fmt.Sprintf("arm.%d.measure", i), "or at has no meaning without [sweep]")
		}
		if _, err := c.Config(i); err != nil {
			r.Errorf(fmt.Sprintf("arm.%d.set", i), "does not apply to [run]: %v", err)
		}
	}
	switch {
	case c.Sweep != nil && c.Compress != nil:
		r.Errorf("compress", "stands beside [sweep]; want one of them")
		return
	case c.Sweep != nil:
		c.validateSweep(r)
		return
	case c.Compress != nil:
		c.validateCompression(r)
		return
	}
	for i, a := range c.Arms {
		if len(a.Ratios) > 0 {
			r.Errorf(fmt.Sprintf("arm.%d.ratios", i), "has no meaning without [compress]")
		}
	}
	if len(c.Quick.Compress)+len(c.Quick.Finetune) > 0 {
		r.Errorf("quick.compress", "or finetune has no meaning without [compress]")
	}
	if len(c.Quick.Sizes) > 0 {
		r.Errorf("quick.sizes", "has no meaning without [sweep]")
	}
	c.validateData(r)
	if len(c.Expect) == 0 {
		r.Errorf("expect", "is missing; want at least one [[expect]]")
	}
	for i, e := range c.Expect {
		for key, name := range map[string]string{"arm": e.Arm, "from": e.From, "to": e.To, "than": e.Than} {
			if name != "" && c.arm(name) < 0 {
				r.Errorf(fmt.Sprintf("expect.%d.%s", i, key), "is none of the arms")
			}
		}
	}
}
