package op

import (
	"unsafe"

	"sparrow/kernel"
)

// Arena is memory that graphs share.
type Arena struct {
	mem     []byte
	version int
}

// grow makes room for size bytes, in large pages where there are any: a tile of a matrix product
// reads and writes rows that each lie on a small page of their own.
func (a *Arena) grow(size int) {
	if len(a.mem) >= size && a.version > 0 {
		return
	}
	large := kernel.Large[int8](size + align)
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(large))), len(large))
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) & (align - 1))
	a.mem = raw[skip : skip+size]
	a.version++
}

// Bytes is the arena's present size.
func (a *Arena) Bytes() int { return len(a.mem) }
