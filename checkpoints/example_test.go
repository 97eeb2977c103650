package checkpoints_test

import (
	"fmt"
	"os"

	"sparrow/checkpoints"
)

func Example() {
	run, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(run)

	// Write a checkpoint: all of it or nothing.
	dir := checkpoints.StepDir(run, 200)
	err = checkpoints.Write(dir, checkpoints.Contents{
		Kind: "decoder",
		Step: 200,
		Arrays: map[string][]checkpoints.Array{
			"model.npz": {{Name: "model.norm.weight", Shape: []int{3}, Data: []float32{1, 2, 3}}},
		},
		Files: map[string][]byte{"config.toml": []byte("name = \"tiny\"\n")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Read it straight into the memory that the model uses.
	c, err := checkpoints.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	weight := make([]float32, 3)
	err = c.ReadInto("model.npz", map[string]checkpoints.Array{
		"model.norm.weight": {Shape: []int{3}, Data: weight},
	})
	fmt.Println(weight, err)

	// The wrong model is told everything that does not fit.
	_, missing, unused, err := c.Match("model.npz", map[string]checkpoints.Array{
		"model.norm.bias": {Shape: []int{3}, Data: make([]float32, 3)},
	})
	fmt.Println(missing, unused, err)
	// Output:
	// [1 2 3] <nil>
	// [model.norm.bias] [model.norm.weight] <nil>
}
