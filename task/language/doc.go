// Package language is the task of a language model: each token of a text from those before it. It knows no other task.
package language
