package kernel

import "golang.org/x/sys/unix"

// adviseLarge asks for large pages. It is advice: a kernel built without them refuses it.
func adviseLarge(x []byte) { _ = unix.Madvise(x, unix.MADV_HUGEPAGE) }
