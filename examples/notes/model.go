//go:build notes

package main

import "embed"

//go:embed model
var files embed.FS

func init() { carried = files }
