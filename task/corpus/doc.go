// Package corpus reads text without labels in windows of tokens, for the tasks that predict tokens. It is no task itself.
package corpus
