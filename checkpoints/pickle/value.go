package pickle

import (
	"fmt"

	"sparrow/checkpoints/foreign"
)

// What is on the interpreter's stack: nil, bool, int64, float64, string, and these.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any }
	global string // module.name, one of the known ones
	long   []byte // an integer of more than 64 bits, little-endian
	// storage is memory that tensors share.
	storage struct {
		dtype *foreign.Type
		key   string
		size  int    // elements
		data  []byte // found when the whole dict is read
	}
	tensor struct {
		storage        *storage
		offset         int
		shape, strides []int
	}
)

const (
	orderedDict      = global("collections.OrderedDict")
	rebuildTensor    = global("torch._utils._rebuild_tensor")
	rebuildTensorV2  = global("torch._utils._rebuild_tensor_v2")
	rebuildParameter = global("torch._utils._rebuild_parameter")
)

// storageTypes are the names that stand for element types.
var storageTypes = map[global]*foreign.Type{
	"torch.FloatStorage": foreign.F32, "torch.HalfStorage": foreign.F16, "torch.BFloat16Storage": foreign.BF16,
	"torch.DoubleStorage": foreign.F64, "torch.LongStorage": foreign.I64, "torch.IntStorage": foreign.I32,
	"torch.ShortStorage": foreign.I16, "torch.CharStorage": foreign.I8, "torch.ByteStorage": foreign.U8,
	"torch.BoolStorage": foreign.Bool,
}

func named(module, name string) (global, error) {
	g := global(module + "." + name)
	switch g {
	case orderedDict, rebuildTensor, rebuildTensorV2, rebuildParameter:
		return g, nil
	}
	if _, ok := storageTypes[g]; ok {
		return g, nil
	}
	return "", fmt.Errorf("asks for %s, which weights don't need; nothing of the file was executed", foreign.Quote(string(g)))
}

// call is what a known name makes of its arguments.
func call(function, arguments any) (any, error) {
	g, ok := function.(global)
	args, isTuple := arguments.(tuple)
	if !ok || !isTuple {
		return nil, fmt.Errorf("calls %s with %s; want a name and a tuple", describe(function), describe(arguments))
	}
	switch g {
	case orderedDict:
		if len(args) == 0 {
			return &dict{}, nil
		}
	case rebuildTensor, rebuildTensorV2:
		if len(args) >= 4 {
			return newTensor(args)
		}
	case rebuildParameter:
		if len(args) >= 1 {
			if t, ok := args[0].(*tensor); ok {
				return t, nil
			}
		}
	}
	return nil, fmt.Errorf("calls %s with arguments that it does not take", foreign.Quote(string(g)))
}

// newTensor takes storage, offset, shape and strides; what may follow is about gradients.
func newTensor(args tuple) (*tensor, error) {
	s, isStorage := args[0].(*storage)
	offset, isInt := args[1].(int64)
	shape, isShape := ints(args[2])
	strides, isStrides := ints(args[3])
	if !isStorage || !isInt || !isShape || !isStrides {
		return nil, fmt.Errorf("makes a tensor of %s, %s, %s, %s; want a storage, an offset, a shape and strides",
			describe(args[0]), describe(args[1]), describe(args[2]), describe(args[3]))
	}
	return &tensor{storage: s, offset: int(offset), shape: shape, strides: strides}, nil
}

func ints(v any) ([]int, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > foreign.MaxDims {
		return nil, false
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || int64(int(n)) != n {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}

// describe says what a value is, without showing a stranger's text at length.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64:
		return fmt.Sprint(v)
	case string:
		return foreign.Quote(v)
	case global:
		return string(v)
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		return fmt.Sprintf("a dict of %d", len(v.keys))
	case *storage:
		return "a storage"
	case *tensor:
		return "a tensor"
	}
	return "a number of more than 64 bits"
}
