package recipe

import (
	"sparrow/configs"
)

// Distill is the [train.distill] table: part of the loss of training is the distance to the scores that a teacher, an
// uncompressed network for the same data, gives for the same batch (Hinton, Vinyals and Dean 2015):
//
//	loss = (1 - weight) task + weight temperature² KL(teacher || student), both at that temperature.
//
// It is for tokens and classes. A sentence encoder learns from the teacher's vectors, to which temperature does nothing:
//
//	loss = (1 - weight) task + weight sum over the texts of a pair of (1 - cosine(teacher, student)).
//
// Evaluations measure the task's loss alone.
type Distill struct {
	Teacher     string  `toml:"teacher" doc:"run or checkpoint of the teacher"`
	Weight      float64 `toml:"weight" doc:"weight of the distance to the teacher's probabilities, of a sentence encoder to its vectors, more than 0 and at most 1; the rest is the task's loss"`
	Temperature float64 `toml:"temperature" doc:"divides the scores of both; a sentence encoder has none"`
}

// SetDefaults implements configs.Defaulter.
func (c *Distill) SetDefaults() { *c = Distill{Weight: 0.7, Temperature: 2} }

// Validate reports what no loss can be.
func (c Distill) Validate(r *configs.Report) {
	if !(c.Weight > 0 && c.Weight <= 1) {
		r.Errorf("weight", "is out of range; want more than 0 and at most 1")
	}
	if !(c.Temperature > 0 && c.Temperature <= 100) {
		r.Errorf("temperature", "is out of range; want more than 0 and at most 100")
	}
}
