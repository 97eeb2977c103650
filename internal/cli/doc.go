// Package cli holds what the commands share: how errors end them, and common flags. It must not know what the commands do.
package cli
