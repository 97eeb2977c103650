// Package masked is the task of a masked language model: hidden tokens of a text from all others (Devlin et al. 2018). It knows
// no other task.
package masked
