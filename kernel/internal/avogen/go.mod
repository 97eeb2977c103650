// The generator of the kernels' assembly: a module of its own, so that users of the framework
// never download avo.
module sparrow/kernel/internal/avogen

go 1.26.0

// BSD-3-Clause; assembles, checks and allocates registers for Go assembly.
require github.com/mmcloughlin/avo v0.6.0

require (
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
)
