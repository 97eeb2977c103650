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
	fnPrinted   = "hf_printed"   // str of what is written, which is counted
	fnSet       = "hf_set"       // what a variable is set to, which is weighed
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
		return wrapped(escaped(ts), fnPrinted)
	}
	switch i, _ := near(ts, 0, 1); {
	case i >= len(ts):
	case ts[i].text == "for":
		return each(ts)
	case ts[i].text == "set":
		if at := slices.IndexFunc(ts, func(t token) bool { return t.kind == '=' }); at >= 0 {
			return append(ts[:at+1:at+1], wrapped(ts[at+1:], fnSet)...)
		}
	}
	return ts
}

// wrapped gives each of the values that commas part to a function.
func wrapped(ts []token, function string) []token {
	var out []token
	from := 0
	end := func(to int) {
		if i, kind := near(ts[from:to], 0, 1); kind == 0 || i == to-from {
			out = append(out, ts[from:to]...) // nothing, which the engine refuses
			return
		}
		out = append(out, token{'x', " " + function + "("})
		out = append(append(out, ts[from:to]...), token{')', ") "})
	}
	for i := 0; i < len(ts); i++ {
		switch {
		case strings.IndexByte("([{", ts[i].kind) >= 0:
			i = group(ts, i) - 1
		case ts[i].kind == ',':
			end(i)
			out = append(out, ts[i])
			from = i + 1
		}
	}
	end(len(ts))
	return out
}

// each wraps what a loop goes over.
func each(ts []token) []token {
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
