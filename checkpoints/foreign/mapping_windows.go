package foreign

import (
	"os"
	"syscall"
	"unsafe"
)

func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	mapping, err := syscall.CreateFileMapping(syscall.Handle(f.Fd()), nil, syscall.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, nil, err
	}
	defer syscall.CloseHandle(mapping) // the view keeps it
	address, err := syscall.MapViewOfFile(mapping, syscall.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return nil, nil, err
	}
	// The address is no Go pointer, and go vet would not believe a plain conversion.
	data := unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), size)
	return data, func() error { return syscall.UnmapViewOfFile(address) }, nil
}
