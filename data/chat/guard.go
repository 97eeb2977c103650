package chat

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What a template may have. Published ones have at most 20 kB and 12 levels.
const (
	maxSource = 64 << 10
	maxLevels = 64
	maxRange  = 1000 // of a number where range counts
	maxRanges = 2    // loops over range within each other
	maxSums   = 64   // sums of one expression: each may be as long as a variable
)

// block is a statement {% %} or an expression {{ }} of a template.
type block struct {
	line      int
	statement bool
	text      string // without the marks
	trims     bool   // its end takes the white space after it: -%}
	takes     bool   // its beginning takes the white space before it: {%-
	from, to  int    // in the source
}

// blocks finds the statements and expressions of a template; strings in them may hold the marks.
func blocks(source string) ([]block, error) {
	var out []block
	for at := 0; at < len(source); {
		open := strings.IndexByte(source[at:], '{')
		if open < 0 || at+open+1 >= len(source) {
			break
		}
		at += open
		var end string
		switch source[at+1] {
		case '%':
			end = "%}"
		case '{':
			end = "}}"
		case '#':
			n := strings.Index(source[at:], "#}")
			if n < 0 {
				return nil, fmt.Errorf("line %d: a comment that does not end", lineOf(source, at))
			}
			at += n + 2
			continue
		default:
			at++
			continue
		}
		stop := endOf(source, at+2, end)
		if stop < 0 {
			return nil, fmt.Errorf("line %d: %s that does not end with %s", lineOf(source, at), source[at:at+2], end)
		}
		inner := source[at+2 : stop]
		out = append(out, block{
			line: lineOf(source, at), statement: end == "%}", text: strings.Trim(inner, "-+ \t\r\n"),
			trims: strings.HasSuffix(inner, "-"), takes: strings.HasPrefix(inner, "-"), from: at, to: stop + 2,
		})
		at = stop + 2
	}
	return out, nil
}

// keepSpace makes expressions of white space that stands alone between an expression and a statement, which the engine
// drops. Jinja2, with lstrip_blocks, drops only what is before a statement on its line.
func keepSpace(source string) string {
	all, err := blocks(source)
	if err != nil {
		return source
	}
	var b strings.Builder
	done := 0
	for i := 1; i < len(all); i++ {
		before, next := all[i-1], all[i]
		space := source[before.to:next.from]
		if before.statement || !next.statement || before.trims || next.takes || space == "" || strings.Trim(space, " \t\r\n") != "" {
			continue
		}
		if end := strings.LastIndexByte(space, '\n'); end >= 0 {
			space = space[:end+1]
		}
		b.WriteString(source[done:before.to])
		b.WriteString(`{{ "` + strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(space) + `" }}`)
		done = next.from
	}
	b.WriteString(source[done:])
	return b.String()
}

// endOf is where the mark stands that ends a block, outside of strings; -1 if nowhere.
func endOf(source string, at int, end string) int {
	for quote := byte(0); at < len(source); at++ {
		c := source[at]
		switch {
		case quote != 0 && c == '\\':
			at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.HasPrefix(source[at:], end):
			return at
		}
	}
	return -1
}

func lineOf(source string, at int) int { return 1 + strings.Count(source[:at], "\n") }

// withoutStrings replaces the strings of an expression by empty ones.
func withoutStrings(text string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
				b.WriteByte(c)
			}
		default:
			if c == '"' || c == '\'' {
				quote = c
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

var (
	numbers   = regexp.MustCompile(`\d+`)
	doubled   = regexp.MustCompile(`^set\s+([\w.]+)\s*=\s*(.*)$`)
	keyword   = regexp.MustCompile(`^\w+`)
	condition = regexp.MustCompile(`\bif\b.*?(\belse\b|\)|$)`)
)

// unsupported are statements that the engine lacks or that read files.
var unsupported = []string{"include", "import", "from", "extends", "with", "autoescape", "call"}

// check refuses what could run away (nesting, repetition) and what the engine is known to get wrong.
func check(source string) error {
	all, err := blocks(source)
	if err != nil {
		return err
	}
	level := 0
	var loops []bool // whether each open loop counts a range
	for i, b := range all {
		text := withoutStrings(b.text)
		if err := checkExpression(text); err != nil {
			return fmt.Errorf("line %d: %w", b.line, err)
		}
		if i > 0 && b.statement && b.takes && !all[i-1].statement && all[i-1].to == b.from && endsInSpace(source[:all[i-1].from]) {
			return fmt.Errorf("line %d: {%%- right after an expression that follows a space, which would lose that space", b.line)
		}
		if !b.statement {
			continue
		}
		word := keyword.FindString(text)
		switch {
		case slices.Contains(unsupported, word):
			return fmt.Errorf("line %d: the statement %q is not supported", b.line, word)
		case word == "for" && strings.HasSuffix(text, "recursive"):
			return fmt.Errorf("line %d: recursive loops are not supported", b.line)
		case word == "macro":
			level++
		case word == "endmacro":
			level--
		case word == "for":
			loops = append(loops, strings.Contains(text, "range"))
			level++
			if n := countTrue(loops); n > maxRanges {
				return fmt.Errorf("line %d: %d loops over range within each other; want at most %d", b.line, n, maxRanges)
			}
		case word == "endfor":
			loops = loops[:max(0, len(loops)-1)]
			level--
		case word == "if":
			level++
		case word == "endif":
			level--
		case word == "set":
			if m := doubled.FindStringSubmatch(text); m != nil && mentions(m[2], m[1]) > 1 && strings.ContainsAny(m[2], "~+") {
				return fmt.Errorf("line %d: %s is set to more than one of itself, which could grow without bound", b.line, m[1])
			}
		}
		if level > maxLevels {
			return fmt.Errorf("line %d: nested deeper than %d", b.line, maxLevels)
		}
	}
	return nil
}

// mentions counts a name in what is made of it: conditions make nothing.
func mentions(expression, name string) int {
	made := condition.ReplaceAllString(expression, " $1")
	return len(regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(name)+`\b`).FindAllString(made, -1))
}

func countTrue(all []bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

func endsInSpace(text string) bool { return strings.HasSuffix(text, " ") }

// checkExpression refuses depth, large numbers and repetition.
func checkExpression(text string) error {
	depth, sums := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '+', '~':
			if sums++; sums > maxSums {
				return fmt.Errorf("more than %d sums in one expression", maxSums)
			}
		case '*':
			return fmt.Errorf("multiplication is not supported: what it makes could be of any size")
		}
		if depth > maxLevels {
			return fmt.Errorf("nested deeper than %d", maxLevels)
		}
	}
	if !strings.Contains(text, "range") {
		return nil
	}
	for _, n := range numbers.FindAllString(text, -1) {
		if v, err := strconv.Atoi(n); err != nil || v > maxRange {
			return fmt.Errorf("range beside the number %.40s; want at most %d", n, maxRange)
		}
	}
	return nil
}
