package chat

import (
	"slices"
	"strings"
)

// Names of functions that stand in a rewritten template where the engine does not do what Jinja2 does in transformers' sandbox.
const (
	fnJSON      = "hf_tojson"    // json.dumps, keys in their order
	fnGenerator = "hf_generator" // json.dumps of what a filter yields one by one, which Python refuses
	fnString    = "hf_string"    // str
	fnDefined   = "hf_defined"   // an operand of +, which must not be undefined
	fnTimes     = "hf_times"     // *
	fnEscape    = "hf_escape"    // what + makes of a text beside one that is marked safe
	fnEach      = "hf_each"      // what a loop goes over, which must not be None
	fnEnter     = "hf_enter"     // a macro begins
	fnLeave     = "hf_leave"     // a macro ends
	fnRefused   = "hf_refused_"  // before a method that changes a value: the sandbox refuses it, and the engine knows none of this name
	varText     = "hf_text"      // what a macro makes
)

var (
	generators = []string{"map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice"}
	changing   = []string{"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", "popitem", "setdefault", "update"}
	words      = []string{"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"}
)

// token is a part of a statement or an expression; all of them, one after the other, are its text.
type token struct {
	kind byte // 's' string, 'n' name, 'd' number, ' ' white space; else one character that stands for itself
	text string
}

func tokensOf(text string) []token {
	var out []token
	letter := func(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for at := 0; at < len(text); {
		end, kind := at+1, text[at]
		run := func(is func(byte) bool) {
			for end < len(text) && is(text[end]) {
				end++
			}
		}
		switch c := text[at]; {
		case c == '"' || c == '\'':
			kind = 's'
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
		case letter(c):
			kind = 'n'
			run(func(c byte) bool { return letter(c) || digit(c) })
		case digit(c):
			kind = 'd'
			run(digit)
			if end+1 < len(text) && text[end] == '.' && digit(text[end+1]) {
				end++
				run(digit)
			}
		case strings.IndexByte(" \t\r\n", c) >= 0:
			kind = ' '
			run(func(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 })
		}
		out = append(out, token{kind, text[at:end]})
		at = end
	}
	return out
}

func joined(ts []token) string {
	var b strings.Builder
	for _, t := range ts {
		b.WriteString(t.text)
	}
	return b.String()
}

// near is the index of the next token from i on in steps of by that is no white space, and its kind; 0 beyond the ends.
func near(ts []token, i, by int) (int, byte) {
	for ; i >= 0 && i < len(ts); i += by {
		if ts[i].kind != ' ' {
			return i, ts[i].kind
		}
	}
	return i, 0
}

// group is the index behind the parentheses that open at i.
func group(ts []token, i int) int {
	depth := 0
	for ; i < len(ts); i++ {
		switch ts[i].kind {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// alone says whether the token at i is an operand of its own: a name, a number or a string of which nothing is asked and that is no
// part of another product.
func alone(ts []token, i int) bool {
	if i < 0 || i >= len(ts) || !slices.Contains([]byte("nds"), ts[i].kind) || ts[i].kind == 'n' && slices.Contains(words, ts[i].text) {
		return false
	}
	_, before := near(ts, i-1, -1)
	_, after := near(ts, i+1, 1)
	j, _ := near(ts, i+1, 1)
	twice := after == '*' && j+1 < len(ts) && ts[j+1].kind == '*' // a power
	return before != '.' && before != '|' && before != '/' && before != '%' && !twice && !slices.Contains([]byte(".([|"), after)
}

// asPython rewrites what the engine does in another way than Jinja2 in transformers' sandbox does. Lines stay where they are.
func asPython(source string) (string, error) {
	all, err := blocks(source)
	if err == nil {
		err = closed(all)
	}
	if err != nil {
		return "", err
	}
	var b strings.Builder
	done := 0
	for _, x := range all {
		b.WriteString(source[done:x.from])
		done = x.to
		begin, inner, end := marks(source[x.from:x.to])
		ts := rewritten(tokensOf(inner), !x.statement)
		text := joined(ts)
		switch word := keyword.FindString(x.text); {
		case !x.statement:
		case word == "macro": // what it makes goes through a function that counts
			end = "%}{% set " + varText + " = " + fnEnter + "(" + strings.Join(parameters(ts), ", ") + ") %}{% set " + varText + " " + end
		case word == "endmacro":
			begin += " endset %}{{ " + fnLeave + "(" + varText + ") }}{%"
		}
		b.WriteString(begin + text + end)
	}
	b.WriteString(source[done:])
	return b.String(), nil
}

// marks takes a block apart: how it begins, such as {%-, what it says and how it ends.
func marks(block string) (begin, inner, end string) {
	from, to := 2, len(block)-2
	if from < to && (block[from] == '-' || block[from] == '+') {
		from++
	}
	if from < to && (block[to-1] == '-' || block[to-1] == '+') {
		to--
	}
	return block[:from], block[from:to], block[to:]
}

// parameters are the names of what a macro takes.
func parameters(ts []token) (names []string) {
	open := slices.IndexFunc(ts, func(t token) bool { return t.kind == '(' })
	if open < 0 {
		return nil
	}
	for i := open + 1; i < len(ts); {
		if j, kind := near(ts, i, 1); kind == 'n' {
			names = append(names, ts[j].text)
		}
		for i < len(ts) && ts[i].kind != ',' {
			if strings.IndexByte("([{", ts[i].kind) >= 0 {
				i = group(ts, i)
				continue
			}
			i++
		}
		i++
	}
	return names
}

// rewritten are the tokens of a block with functions in place of what the engine does otherwise.
func rewritten(ts []token, printed bool) []token {
	ts = slices.Clone(ts)
	for i := range ts {
		switch at, before := near(ts, i-1, -1); {
		case ts[i].kind == 'n' && before == '|':
			switch ts[i].text {
			case "tojson":
				ts[i].text = fnJSON
				if yields(ts, at) {
					ts[i].text = fnGenerator
				}
			case "string":
				ts[i].text = fnString
			}
		case ts[i].kind == 'n' && before == '.' && slices.Contains(changing, ts[i].text):
			if _, after := near(ts, i+1, 1); after == '(' {
				ts[i].text = fnRefused + ts[i].text
			}
		case ts[i].kind == '*':
			after, _ := near(ts, i+1, 1)
			if alone(ts, at) && alone(ts, after) {
				ts[at].text = fnTimes + "(" + ts[at].text
				ts[i].text = ","
				ts[after].text += ")"
				ts[at].kind, ts[after].kind = 'x', 'x' // no operand any more
			}
		case ts[i].kind == '+':
			after, _ := near(ts, i+1, 1)
			for _, j := range []int{at, after} {
				if alone(ts, j) && ts[j].kind == 'n' {
					ts[j].text = fnDefined + "(" + ts[j].text + ")"
					ts[j].kind = 'x'
				}
			}
		}
	}
	if printed {
		return escaped(ts)
	}
	return each(ts)
}

// each wraps what a loop goes over.
func each(ts []token) []token {
	i, _ := near(ts, 0, 1)
	if i >= len(ts) || ts[i].text != "for" {
		return ts
	}
	in := slices.IndexFunc(ts, func(t token) bool { return t.kind == 'n' && t.text == "in" })
	if in < 0 {
		return ts
	}
	end := in + 1
	for end < len(ts) && !(ts[end].kind == 'n' && (ts[end].text == "if" || ts[end].text == "recursive")) {
		if strings.IndexByte("([{", ts[end].kind) >= 0 {
			end = group(ts, end)
			continue
		}
		end++
	}
	return slices.Concat(ts[:in+1], []token{{'x', " " + fnEach + "("}}, ts[in+1:end], []token{{')', ") "}}, ts[end:])
}

// yields says whether what stands before the bar at i is a filter that yields its values one by one.
func yields(ts []token, i int) bool {
	i, kind := near(ts, i-1, -1)
	if kind == ')' {
		for depth := 0; i >= 0; i-- {
			if ts[i].kind == ')' {
				depth++
			} else if ts[i].kind == '(' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		i, kind = near(ts, i-1, -1)
	}
	if kind != 'n' || !slices.Contains(generators, ts[i].text) {
		return false
	}
	_, before := near(ts, i-1, -1)
	return before == '|'
}

// escaped is a sum of which a part is marked safe: of the others + makes HTML. Anything but a plain sum stays.
func escaped(ts []token) []token {
	var parts [][]token
	from, safe := 0, false
	for i := 0; i < len(ts); i++ {
		switch {
		case strings.IndexByte("([{", ts[i].kind) >= 0:
			i = group(ts, i) - 1
		case ts[i].kind == 'n' && slices.Contains(words, ts[i].text), ts[i].kind == '~':
			return ts
		case ts[i].kind == '+':
			parts = append(parts, ts[from:i])
			from = i + 1
		case ts[i].kind == 'n' && ts[i].text == "safe":
			_, before := near(ts, i-1, -1)
			safe = safe || before == '|'
		}
	}
	if parts = append(parts, ts[from:]); !safe || len(parts) == 1 {
		return ts
	}
	var out []token
	for i, part := range parts {
		if i > 0 {
			out = append(out, token{'+', "+"})
		}
		if last, _ := near(part, len(part)-1, -1); last >= 0 && part[last].text == "safe" {
			out = append(out, part...)
			continue
		}
		out = append(out, token{'x', fnEscape + "("})
		out = append(append(out, part...), token{')', ")"})
	}
	return out
}
