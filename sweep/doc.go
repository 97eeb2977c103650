// Package sweep makes many runs of one kind, each once: it expands grids of settings, keeps the result of each finished point, so that
// the same command goes on after an interruption, and puts the results side by side with means and standard errors. Training runs and
// compressions are swept. It knows no command line.
//
//	axes, err := sweep.ParseAxes([]string{"train.learning_rate=1e-3,3e-3"})
//	r, err := sweep.Train(ctx, sweep.Training{File: "my.toml", Axes: axes, Seeds: 3, Dir: "runs/sweep"}, os.Stderr)
//	err = r.WriteTable(os.Stdout)
package sweep
