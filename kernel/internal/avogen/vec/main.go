// Command vec generates the vector kernels of package kernel: the assembly for AVX2 and AVX-512, its Go declarations, and the
// functions that choose between them. Run it through go generate in package kernel.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	flags := flag.NewFlagSet("vec", flag.ExitOnError) // avo fills the default set
	out := flags.String("out", ".", "folder of package kernel")
	flags.Parse(os.Args[1:])
	files, err := generate()
	if err == nil {
		for name, text := range files {
			if err = os.WriteFile(filepath.Join(*out, name), text, 0o644); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vec:", err)
		os.Exit(1)
	}
}

// generate returns the text of every generated file by name.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, wide := range []bool{false, true} {
		name := "vec_avx2_amd64"
		if wide {
			name = "vec_avx512_amd64"
		}
		asm, stubs, err := assemble(wide)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name+".s"], files[name+".go"] = asm, stubs
	}
	var err error
	if files["vec_amd64.go"], err = dispatch(true); err != nil {
		return nil, err
	}
	files["vec_noasm.go"], err = dispatch(false)
	return files, err
}

// assemble generates all kernels for one instruction set: the assembly and its Go declarations.
func assemble(wide bool) (asm, stubs []byte, err error) {
	ctx := build.NewContext()
	ctx.ConstraintExpr("amd64,!purego")
	for _, k := range kernels() {
		if !wide || !k.narrow {
			k.emit(ctx, wide)
		}
	}
	suffix := "AVX2"
	if wide {
		suffix = "AVX512"
	}
	emitConstants(ctx, suffix)
	file, err := ctx.Result()
	if err != nil {
		return nil, nil, err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, nil, err
	}
	config := printer.Config{Name: generator, Pkg: "kernel"}
	if asm, err = printer.NewGoAsm(config).Print(file); err != nil {
		return nil, nil, err
	}
	stubs, err = printer.NewStubs(config).Print(file)
	return asm, stubs, err
}

// generator is named in the header of every generated file.
const generator = "internal/avogen/vec"

// emitConstants writes the data section: each constant filling one AVX2 vector, for AVX-512 once, and AVX2's mask table.
func emitConstants(ctx *build.Context, suffix string) {
	var all []uint32
	for b := range usedConstants[suffix] {
		all = append(all, b)
	}
	slices.Sort(all)
	for _, b := range all {
		ctx.StaticGlobal(fmt.Sprintf("vec%s%08x", suffix, b))
		ctx.DataAttributes(attr.RODATA | attr.NOPTR)
		n := 1
		if suffix == "AVX2" {
			n = 8
		}
		for range n {
			ctx.AppendDatum(op.U32(b))
		}
	}
	if suffix == "AVX2" {
		ctx.StaticGlobal("vecMasks" + suffix)
		ctx.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 2 * reduceLanes {
			if i < reduceLanes {
				ctx.AppendDatum(op.U32(0xffffffff))
			} else {
				ctx.AppendDatum(op.U32(0))
			}
		}
	}
}
