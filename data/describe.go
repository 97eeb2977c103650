package data

import (
	"fmt"
	"strings"
)

// MaxLabels bounds the classes of a data set: a column of sentences or scores taken for labels should not build a network
// with as many outputs.
const MaxLabels = 1000

// Quoted lists names for a message.
func Quoted(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// SomeOf quotes names for a message, not too many of them.
func SomeOf(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", Quoted(names[:most]), len(names)-most)
	}
	return Quoted(names)
}

// Percent is a share for a message.
func Percent(part, whole int) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(max(whole, 1)))
}

// Shares lists the classes with their share of the examples, not too many of them.
func Shares(labels []string, counts []int, total int) string {
	const most = 8
	var list []string
	for i, label := range labels[:min(most, len(labels))] {
		list = append(list, label+" "+Percent(counts[i], total))
	}
	if len(labels) > most {
		list = append(list, fmt.Sprintf("%d more classes", len(labels)-most))
	}
	return strings.Join(list, ", ")
}
