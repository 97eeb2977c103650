package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// flags are those of one command, by name with dashes: whether each takes a value.
type flags map[string]bool

var flagLine = regexp.MustCompile(`(?m)^ +(?:(-\w), |    )(--[\w-]+)(?: ([\w:]+))?(?:  .*)?$`)

// readHelp reads the flags of a help text.
func readHelp(text string) flags {
	f := flags{}
	for _, m := range flagLine.FindAllStringSubmatch(text, -1) {
		f[m[2]] = m[3] != ""
		if m[1] != "" {
			f[m[1]] = m[3] != ""
		}
	}
	return f
}

// parse reads arguments: the values of each flag, by its long name where it has one here, and the other arguments.
func (f flags) parse(args []string) (values map[string][]string, rest []string, err error) {
	values = map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		if !strings.HasPrefix(name, "-") || name == "-" {
			rest = append(rest, args[i])
			continue
		}
		takes, known := f[name]
		switch {
		case !known:
			return nil, nil, fmt.Errorf("no flag %s; there are %s", name, strings.Join(f.names(), " "))
		case joined && !takes:
			return nil, nil, fmt.Errorf("flag %s takes no value", name)
		case takes && !joined:
			if i++; i == len(args) {
				return nil, nil, fmt.Errorf("flag %s wants a value", name)
			}
			value = args[i]
		}
		values[name] = append(values[name], value)
	}
	return values, rest, nil
}

func (f flags) names() []string {
	var all []string
	for name := range f {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// help asks a program for its flags, by running it.
func help(root, name string) (flags, error) {
	c := exec.Command("go", append(strings.Fields(name)[1:], "--help")...)
	c.Dir = root
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w\n%s", name, err, out)
	}
	verb := strings.Fields(name)
	if last := verb[len(verb)-1]; len(verb) == 4 && !strings.Contains(string(out), " "+last+" ") {
		return nil, fmt.Errorf("%s: no command %s", strings.Join(verb[:3], " "), last)
	}
	return readHelp(string(out)), nil
}
