package pickle

import "errors"

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// low says whether there is no value above the last mark.
func (m *machine) low() bool {
	return len(m.stack) == 0 || len(m.marks) > 0 && m.marks[len(m.marks)-1] == len(m.stack)
}

// top is the value on top, nil if there is none above the last mark.
func (m *machine) top() any {
	if m.low() {
		return nil
	}
	return m.stack[len(m.stack)-1]
}

func (m *machine) pop() (any, error) {
	items, err := m.take(1)
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// take removes the last n values, all above the last mark.
func (m *machine) take(n int) ([]any, error) {
	from := len(m.stack) - n
	if from < 0 || len(m.marks) > 0 && from < m.marks[len(m.marks)-1] {
		return nil, errors.New("takes more values from the stack than there are")
	}
	items := append([]any(nil), m.stack[from:]...)
	m.stack = m.stack[:from]
	return items, nil
}

// sinceMark removes the last mark and the values above it.
func (m *machine) sinceMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("wants a mark on the stack, where there is none")
	}
	n := len(m.stack) - m.marks[len(m.marks)-1]
	items, err := m.take(n)
	m.marks = m.marks[:len(m.marks)-1]
	return items, err
}
