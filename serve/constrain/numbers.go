package constrain

import (
	"math/big"
	"strconv"
	"strings"
)

// bounds of a number. A nil bound is none.
type bounds struct {
	least, most           *big.Rat
	aboveLeast, belowMost bool // the bound itself is not allowed
}

// maxDigits is how many digits a number has before its point, and a fraction behind it, where no bound says less: a model must not
// write digits for ever.
const maxDigits = 15

// decimal is a number that is not negative, by its digits.
type decimal struct{ whole, fraction string }

func decimalOf(x *big.Rat) (decimal, bool) {
	n, exact := x.FloatPrec()
	if !exact || n > 40 {
		return decimal{}, false
	}
	whole, fraction, _ := strings.Cut(x.FloatString(n), ".")
	return decimal{whole, fraction}, len(whole) <= 40
}

// numbers is a grammar of the numbers within bounds, or of the integers; ok is false where the bounds have too many digits. It is
// nil where there are none.
func numbers(b bounds, integer bool) (n *node, ok bool) {
	zero := new(big.Rat)
	var parts []*node
	if b.most == nil || b.most.Sign() > 0 || b.most.Sign() == 0 && !b.belowMost { // from 0 up
		up := b
		if up.least == nil || up.least.Sign() < 0 {
			up.least, up.aboveLeast = zero, false
		}
		n, ok := magnitudes(up, integer)
		if !ok {
			return nil, false
		}
		if n != nil {
			parts = append(parts, n)
		}
	}
	if b.least == nil || b.least.Sign() < 0 { // below 0, by magnitude
		down := bounds{least: zero, aboveLeast: true}
		if b.most != nil && b.most.Sign() <= 0 {
			down.least, down.aboveLeast = new(big.Rat).Neg(b.most), b.belowMost || b.most.Sign() == 0
		}
		if b.least != nil {
			down.most, down.belowMost = new(big.Rat).Neg(b.least), b.aboveLeast
		}
		n, ok := magnitudes(down, integer)
		if !ok {
			return nil, false
		}
		if n != nil {
			parts = append(parts, seq(literal("-"), n))
		}
	}
	if len(parts) == 0 {
		return nil, true
	}
	return either(parts...), true
}

// magnitudes is numbers of bounds that are not negative; least is there.
func magnitudes(b bounds, integer bool) (*node, bool) {
	low, ok := decimalOf(b.least)
	if !ok {
		return nil, false
	}
	high := decimal{strings.Repeat("9", max(maxDigits, len(low.whole)+1)), strings.Repeat("9", maxDigits)}
	if b.most != nil {
		if b.least.Cmp(b.most) > 0 {
			return nil, true
		}
		if high, ok = decimalOf(b.most); !ok {
			return nil, false
		}
	}
	var parts []*node
	for n := len(low.whole); n <= len(high.whole); n++ {
		g := ranges{integer: integer, low: decimal{"1" + strings.Repeat("0", n-1), ""}, high: high, memo: map[rangeKey]*node{}}
		last := n == len(high.whole)
		if n == len(low.whole) {
			g.low, g.strictLow = low, b.aboveLeast
		}
		g.strictHigh = last && b.belowMost && b.most != nil
		if x := g.digits(0, true, last); x != nil {
			parts = append(parts, x)
		}
	}
	if len(parts) == 0 {
		return nil, true
	}
	return either(parts...), true
}

// ranges makes grammars of decimals with as many digits before the point as low has, between that and high.
type ranges struct {
	integer               bool
	low, high             decimal
	strictLow, strictHigh bool // which are not allowed themselves
	memo                  map[rangeKey]*node
}

type rangeKey struct {
	at        int // place, in the digits before and behind the point
	low, high bool
}

// digit is that of a decimal in a place; ok is false behind its end, where all are 0.
func (d decimal) digit(at int) (x byte, ok bool) {
	if at < len(d.whole) {
		return d.whole[at], true
	}
	if at -= len(d.whole); at < len(d.fraction) {
		return d.fraction[at], true
	}
	return '0', false
}

// digits is what may follow in a place when the digits so far are those of low, of high, or lie between; nil: nothing may.
func (r *ranges) digits(at int, onLow, onHigh bool) *node {
	key := rangeKey{at, onLow, onHigh}
	if n, done := r.memo[key]; done {
		return n
	}
	r.memo[key] = nil
	n := r.make(at, onLow, onHigh)
	r.memo[key] = n
	return n
}

func (r *ranges) make(at int, onLow, onHigh bool) *node {
	whole := len(r.low.whole)
	if at < whole {
		return r.branch(at, onLow, onHigh)
	}
	// Here the number may end, unless it is below the least or above the most.
	var parts []*node
	if r.mayEnd(at, onLow, onHigh) {
		parts = append(parts, seq())
	}
	if !r.integer && at-whole < maxDigits+max(len(r.low.fraction), len(r.high.fraction)) {
		if next := r.branch(at, onLow, onHigh); next != nil {
			if at == whole {
				next = seq(literal("."), next)
			}
			parts = append(parts, next)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return either(parts...)
}

// mayEnd tells whether the digits so far are a number within the bounds.
func (r *ranges) mayEnd(at int, onLow, onHigh bool) bool {
	if onLow {
		rest := false // low has digits left that are not 0
		for i := at; ; i++ {
			x, ok := r.low.digit(i)
			if !ok {
				break
			}
			rest = rest || x != '0'
		}
		if rest || r.strictLow {
			return false
		}
	}
	if onHigh && r.strictHigh {
		for i := at; ; i++ {
			x, ok := r.high.digit(i)
			if !ok {
				return false // it is high itself
			}
			if x != '0' {
				break
			}
		}
	}
	return true
}

// branch is a digit and what follows it.
func (r *ranges) branch(at int, onLow, onHigh bool) *node {
	low, high := byte('0'), byte('9')
	if onLow {
		low, _ = r.low.digit(at)
	}
	if onHigh {
		high, _ = r.high.digit(at)
	}
	var parts []*node
	add := func(from, to byte) {
		if from > to {
			return
		}
		if next := r.digits(at+1, onLow && from == low && to == low, onHigh && from == high && to == high); next != nil {
			parts = append(parts, seq(span(from, to), next))
		}
	}
	switch {
	case low > high:
		return nil
	case low == high:
		add(low, low)
	default:
		from, to := int(low), int(high)
		if onLow {
			add(low, low)
			from++
		}
		if onHigh {
			add(high, high)
			to--
		}
		if from <= to {
			next := r.digits(at+1, false, false)
			if next != nil {
				parts = append(parts, seq(span(byte(from), byte(to)), next))
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return either(parts...)
}

// anyNumber is one of no bounds, as models write them.
func anyNumber(integer bool) *node {
	digit := span('0', '9')
	whole := either(literal("0"), seq(span('1', '9'), times(digit, 0, maxDigits-1)))
	n := seq(maybe(literal("-")), whole)
	if !integer {
		n = seq(n, maybe(seq(literal("."), times(digit, 1, maxDigits))), maybe(seq(oneOf("eE"), maybe(oneOf("+-")), times(digit, 1, 2))))
	}
	return n
}

// rat is a number of chat.ParseJSON, by the digits that it is written with; ok is false for what is none.
func rat(x any) (*big.Rat, bool) {
	switch x := x.(type) {
	case int64:
		return new(big.Rat).SetInt64(x), true
	case float64:
		return new(big.Rat).SetString(strconv.FormatFloat(x, 'g', -1, 64))
	}
	return nil, false
}
