package pickle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"sparrow/checkpoints/foreign"
)

// maxStack is how many values may lie on the stack: Python's pickler puts at most some thousands there.
const maxStack = 100_000

// machine interprets one pickle. It has a stack, marks in it and a memo; values are made, never called.
type machine struct {
	data       []byte
	at         int
	stack      []any
	marks      []int // stack heights
	memo       map[uint32]any
	persistent func(id tuple) (*storage, error)
}

// run interprets the pickle that data begins with, and returns its value and its length.
func run(data []byte, persistent func(id tuple) (*storage, error)) (value any, length int, err error) {
	m := &machine{data: data, memo: map[uint32]any{}, persistent: persistent}
	for {
		op, err := m.bytes(1)
		if err != nil {
			return nil, 0, err
		}
		if op[0] == opStop {
			break
		}
		if err := m.step(op[0]); err != nil {
			return nil, 0, fmt.Errorf("at byte %d of a pickle: %w", m.at, err)
		}
		if len(m.stack) > maxStack || len(m.marks) > maxStack {
			return nil, 0, fmt.Errorf("at byte %d of a pickle: more than %d values lie on the stack", m.at, maxStack)
		}
	}
	value, err = m.pop()
	if err == nil && (len(m.stack) > 0 || len(m.marks) > 0) {
		err = errors.New("a pickle leaves values behind")
	}
	return value, m.at, err
}

func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		b, err := m.bytes(1)
		if err == nil && b[0] > 5 {
			return fmt.Errorf("the pickle's protocol is %d; want at most 5", b[0])
		}
		return err
	case opFrame:
		_, err := m.bytes(8) // how much to read ahead
		return err
	case opMark:
		m.marks = append(m.marks, len(m.stack))
		return nil
	case opNone, opNewTrue, opNewFalse, opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode, opShortBinUnicode:
		return m.scalar(op)
	case opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3, opEmptyList, opAppend, opAppends, opEmptyDict, opSetItem, opSetItems:
		return m.collection(op)
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return m.remember(op)
	case opGlobal, opStackGlobal, opReduce, opBuild, opBinPersID:
		return m.object(op)
	}
	return fmt.Errorf("has the opcode %#02x (%q), which weights don't need; nothing of the file was executed", op, rune(op))
}

func (m *machine) scalar(op byte) error {
	b, err := m.bytes(argument(op))
	if err != nil {
		return err
	}
	switch op {
	case opNone:
		m.push(nil)
	case opNewTrue, opNewFalse:
		m.push(op == opNewTrue)
	case opBinInt:
		m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinInt1:
		m.push(int64(b[0]))
	case opBinInt2:
		m.push(int64(binary.LittleEndian.Uint16(b)))
	case opBinFloat:
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case opLong1:
		digits, err := m.bytes(int(b[0]))
		if err != nil {
			return err
		}
		m.push(integer(digits))
	case opBinUnicode:
		return m.text(uint64(binary.LittleEndian.Uint32(b)))
	case opShortBinUnicode:
		return m.text(uint64(b[0]))
	}
	return nil
}

// integer is a little-endian number in two's complement.
func integer(digits []byte) any {
	if len(digits) > 8 {
		return long(digits)
	}
	var n int64
	for i, d := range digits {
		n |= int64(d) << (8 * i)
	}
	if k := len(digits); k > 0 {
		n = n << (64 - 8*k) >> (64 - 8*k)
	}
	return n
}

func (m *machine) text(n uint64) error {
	if n > uint64(len(m.data)-m.at) {
		return fmt.Errorf("has a text of %d bytes, more than are left", n)
	}
	b, err := m.bytes(int(n))
	if err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return errors.New("has a text that is not UTF-8")
	}
	m.push(string(b))
	return nil
}

func (m *machine) collection(op byte) error {
	switch op {
	case opEmptyTuple:
		m.push(tuple{})
	case opEmptyList:
		m.push(&list{})
	case opEmptyDict:
		m.push(&dict{})
	case opTuple1, opTuple2, opTuple3:
		items, err := m.take(int(op - opTuple1 + 1))
		if err != nil {
			return err
		}
		m.push(tuple(items))
	case opTuple:
		items, err := m.sinceMark()
		if err != nil {
			return err
		}
		m.push(tuple(items))
	case opAppend, opAppends:
		items, err := m.items(op == opAppends, 1)
		if err != nil {
			return err
		}
		l, ok := m.top().(*list)
		if !ok {
			return fmt.Errorf("appends to %s; want a list", describe(m.top()))
		}
		l.items = append(l.items, items...)
	case opSetItem, opSetItems:
		items, err := m.items(op == opSetItems, 2)
		if err != nil {
			return err
		}
		d, ok := m.top().(*dict)
		if !ok || len(items)%2 != 0 {
			return fmt.Errorf("sets items of %s from %d values; want a dict and pairs", describe(m.top()), len(items))
		}
		for i := 0; i < len(items); i += 2 {
			d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
		}
	}
	return nil
}

// items are those since the last mark, or the last n.
func (m *machine) items(marked bool, n int) ([]any, error) {
	if marked {
		return m.sinceMark()
	}
	return m.take(n)
}

func (m *machine) remember(op byte) error {
	key := uint32(len(m.memo))
	if op != opMemoize {
		size := 1
		if op == opLongBinPut || op == opLongBinGet {
			size = 4
		}
		b, err := m.bytes(size)
		if err != nil {
			return err
		}
		key = 0
		for i, d := range b {
			key |= uint32(d) << (8 * i)
		}
	}
	if op == opBinGet || op == opLongBinGet {
		value, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("wants value %d of the memo, which is not there", key)
		}
		m.push(value)
		return nil
	}
	if m.low() {
		return errors.New("remembers a value where there is none")
	}
	if len(m.memo) > len(m.data)/2 { // a value and what remembers it take two bytes
		return errors.New("remembers more values than it has")
	}
	m.memo[key] = m.top()
	return nil
}

func (m *machine) object(op byte) error {
	switch op {
	case opGlobal:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.pushNamed(module, name)
	case opStackGlobal:
		parts, err := m.take(2)
		if err != nil {
			return err
		}
		module, ok := parts[0].(string)
		name, ok2 := parts[1].(string)
		if !ok || !ok2 {
			return fmt.Errorf("asks for the name %s.%s", describe(parts[0]), describe(parts[1]))
		}
		return m.pushNamed(module, name)
	case opReduce:
		parts, err := m.take(2)
		if err != nil {
			return err
		}
		value, err := call(parts[0], parts[1])
		m.push(value)
		return err
	case opBuild: // an OrderedDict's attributes: the versions of its modules
		if _, err := m.pop(); err != nil {
			return err
		}
		if _, ok := m.top().(*dict); !ok {
			return fmt.Errorf("sets attributes of %s; want a dict", describe(m.top()))
		}
		return nil
	}
	id, err := m.pop()
	if err != nil {
		return err
	}
	t, ok := id.(tuple)
	if !ok {
		return fmt.Errorf("refers to the storage %s; want a tuple", describe(id))
	}
	s, err := m.persistent(t)
	m.push(s)
	return err
}

func (m *machine) pushNamed(module, name string) error {
	g, err := named(module, name)
	m.push(g)
	return err
}

func (m *machine) bytes(n int) ([]byte, error) {
	if n > len(m.data)-m.at {
		return nil, errors.New("a pickle ends before its end")
	}
	m.at += n
	return m.data[m.at-n : m.at], nil
}

func (m *machine) line() (string, error) {
	n := bytes.IndexByte(m.data[m.at:], '\n')
	if n < 0 {
		return "", errors.New("has a name without an end")
	}
	b, err := m.bytes(n + 1)
	if err != nil {
		return "", err
	}
	if n > 200 {
		return "", fmt.Errorf("asks for the name %s", foreign.Quote(string(b[:n])))
	}
	return string(b[:n]), nil
}
