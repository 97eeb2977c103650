// Package texts is the task of a classifier of texts or of pairs of texts, or of a regression on them, with a page that shows what
// its network attends to. It knows no other task.
package texts
