// Package kinds is the list of tasks, and opens the one of a config. It knows no trainer and no model on disk.
package kinds
