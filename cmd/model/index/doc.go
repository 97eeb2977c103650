// Package index has the commands that build, change, measure and search an index of package retrieval. It parses, calls and prints; what
// an index is it must not know.
package index
