package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/sweep"
)

func sweepCommand() *cobra.Command {
	var file, dir, methods, ratios string
	var set, grid []string
	c := &cobra.Command{
		Use:   "sweep -c FILE --methods NAME,NAME... --ratios SHARE,SHARE... [-o DIR]",
		Short: "Compress a model by several methods to several sizes and compare them",
		Long: "Compresses the model of a config by each method to each size, and shows loss over bytes as a table and a picture. Statistics of\n" +
			"the calibration data are gathered once. What is finished is kept: the same command goes on after an interruption. What a method\n" +
			"cannot do is noted in the table.",
		Example: "  compress sweep -c configs/compress-svd.toml --methods svd,fwsvd --ratios 0.2,0.5\n" +
			"  compress sweep -c my.toml --methods svd,fwsvd --ratios 0.3 --grid compress.row=in,both",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			axes, err := sweep.ParseAxes(append([]string{"compress.method=" + methods, "compress.ratio=" + ratios}, grid...))
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", "sweep-"+strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
			}
			ctx, stop := interruptible()
			defer stop()
			r, err := sweep.Compress(ctx, sweep.Compressing{File: file, Set: set, Axes: axes, Dir: dir}, os.Stderr)
			if err != nil {
				return err
			}
			var table, picture bytes.Buffer
			if err := r.WriteTable(&table); err != nil {
				return err
			}
			if err := checkpoints.WriteFileAtomic(filepath.Join(dir, "sweep.md"), table.Bytes()); err != nil {
				return err
			}
			fmt.Printf("%s\ntable    %s\n", table.String(), filepath.Join(dir, "sweep.md"))
			if err := r.WriteFrontier(&picture); err != nil {
				return err
			}
			if err := checkpoints.WriteFileAtomic(filepath.Join(dir, "frontier.svg"), picture.Bytes()); err != nil {
				return err
			}
			fmt.Printf("picture  %s\n\nnext:\n", filepath.Join(dir, "frontier.svg"))
			for _, i := range r.Frontier() {
				fmt.Printf("  %s\n", shell.Command("compress", "verify", filepath.Join(dir, r.Rows[i].Outcomes[0].Folder)))
			}
			return nil
		},
	}
	configFlags(c, &file, &set)
	c.Flags().StringVar(&methods, "methods", "", "methods to compare, as in svd,fwsvd,dsformer")
	c.Flags().StringVar(&ratios, "ratios", "", "shares of the layers' bytes to remove, as in 0.2,0.5")
	c.Flags().StringArrayVar(&grid, "grid", nil, "another key with the values that it takes (repeatable)")
	c.Flags().StringVarP(&dir, "output", "o", "", "folder of the compressions, the table and the picture (default runs/sweep-<config>)")
	c.MarkFlagRequired("methods")
	c.MarkFlagRequired("ratios")
	return c
}
