//go:build mpi

package group

/*
#cgo pkg-config: ompi-c
#include <mpi.h>
#include <stdlib.h>

// What the headers have as macros.
static MPI_Comm world(void) { return MPI_COMM_WORLD; }
static int errors_return(void) { return MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); }
static int begin(int *provided) { return MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, provided); }
static int serialized(void) { return MPI_THREAD_SERIALIZED; }

// swap sends and receives at once. The two requests are waited for together.
static int swap(void *out, int sent, void *in, int received, int peer) {
	MPI_Request both[2];
	int err = MPI_Irecv(in, received, MPI_BYTE, peer, 0, MPI_COMM_WORLD, &both[0]);
	if (err != MPI_SUCCESS) return err;
	err = MPI_Isend(out, sent, MPI_BYTE, peer, 0, MPI_COMM_WORLD, &both[1]);
	if (err != MPI_SUCCESS) return err;
	return MPI_Waitall(2, both, MPI_STATUSES_IGNORE);
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Open is the group that this process was started in by mpirun or its like; a process that was started by itself is alone.
func Open() (*Group, error) {
	if launched() == 0 {
		return Alone(), nil
	}
	return over(func() (link, error) {
		runtime.LockOSThread() // all calls come from one thread
		var provided C.int
		if err := failed("MPI_Init_thread", C.begin(&provided)); err != nil {
			return nil, err
		}
		if provided < C.serialized() {
			return nil, fmt.Errorf("group: this MPI takes no calls from a thread beside the first; want MPI_THREAD_SERIALIZED")
		}
		var rank, size C.int
		err := failed("MPI_Comm_set_errhandler", C.errors_return())
		if err == nil {
			err = failed("MPI_Comm_rank", C.MPI_Comm_rank(C.world(), &rank))
		}
		if err == nil {
			err = failed("MPI_Comm_size", C.MPI_Comm_size(C.world(), &size))
		}
		return &mpi{int(rank), int(size)}, err
	})
}

// failed is the error of a call.
func failed(call string, code C.int) error {
	if code == 0 { // MPI_SUCCESS, by the standard
		return nil
	}
	text := (*C.char)(C.malloc(C.MPI_MAX_ERROR_STRING + 1))
	defer C.free(unsafe.Pointer(text))
	var n C.int
	if C.MPI_Error_string(code, text, &n) != 0 {
		return fmt.Errorf("group: %s: error %d", call, int(code))
	}
	return fmt.Errorf("group: %s: %s", call, C.GoStringN(text, n))
}

// mpi is a link over MPI_COMM_WORLD.
type mpi struct{ at, of int }

func (m *mpi) rank() int { return m.at }
func (m *mpi) size() int { return m.of }

// most is the most bytes of one message: counts are C ints.
const most = 1 << 30

func (m *mpi) swap(peer int, send, receive []byte) error {
	for len(send) > 0 || len(receive) > 0 {
		out, in := send[:min(most, len(send))], receive[:min(most, len(receive))]
		err := failed("messages with rank "+fmt.Sprint(peer), C.swap(unsafe.Pointer(unsafe.SliceData(out)), C.int(len(out)), unsafe.Pointer(unsafe.SliceData(in)), C.int(len(in)), C.int(peer)))
		if err != nil {
			return err
		}
		send, receive = send[len(out):], receive[len(in):]
	}
	return nil
}

func (m *mpi) abort(code int) { C.MPI_Abort(C.world(), C.int(code)) }

func (m *mpi) close() error { return failed("MPI_Finalize", C.MPI_Finalize()) }
