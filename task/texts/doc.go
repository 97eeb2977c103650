// Package texts is the task of a classifier of texts or of pairs of texts, or of a regression on them. It
// knows no other task.
package texts
