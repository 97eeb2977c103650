// Package discovery is the task of finding classes without labels: a classifier that tells domains apart, and what follows from its
// answers. It must not know of commands, nor of the tasks that it wraps.
package discovery
