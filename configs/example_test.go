package configs_test

import (
	"fmt"

	"sparrow/configs"
)

type attention struct {
	NHead int `toml:"n_head"`
}

type model struct {
	DModel    int       `toml:"d_model"`
	Attention attention `toml:"attention"`
}

// Validate sees the whole of its table, so it checks what concerns two keys.
func (m *model) Validate(r *configs.Report) {
	if m.Attention.NHead <= 0 || m.DModel%m.Attention.NHead != 0 {
		r.Errorf("attention.n_head", "does not divide [model] d_model = %d", m.DModel)
	}
}

type config struct {
	Name         string  `toml:"name"`
	LearningRate float64 `toml:"learning_rate"`
	Model        model   `toml:"model"`
}

func ExampleDecode() {
	cfg := config{LearningRate: 3e-3, Model: model{DModel: 64, Attention: attention{NHead: 4}}}
	text := `
name = "tiny"
learning_rat = 0.1

[model.attention]
n_head = 3
`
	err := configs.Decode("tiny.toml", []byte(text), &cfg, configs.Options{Set: []string{"model.d_model=big"}})
	fmt.Println(err)
	// Output:
	// tiny.toml:3: unknown key "learning_rat"; did you mean "learning_rate"?
	// tiny.toml:6: [model.attention] n_head = 3 does not divide [model] d_model = 64
	// --set model.d_model=big: [model] d_model = "big" is a string; want an integer
}

func ExampleEncode() {
	cfg := config{Name: "tiny", LearningRate: 3e-3, Model: model{DModel: 64, Attention: attention{NHead: 4}}}
	if err := configs.Decode("tiny.toml", nil, &cfg, configs.Options{Set: []string{"model.d_model=128", "name=wide"}}); err != nil {
		fmt.Println(err)
		return
	}
	text, err := configs.Encode(cfg)
	fmt.Print(string(text), err)
	// Output:
	// name = "wide"
	// learning_rate = 0.003
	//
	// [model]
	// d_model = 128
	//
	// [model.attention]
	// n_head = 4
	// <nil>
}
