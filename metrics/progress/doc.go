// Package progress tells a person how something that takes long goes: a bar on a terminal, else lines now and then. It must not know
// what is under way.
package progress
