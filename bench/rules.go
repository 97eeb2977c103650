package main

import (
	"encoding/json"

	"sparrow/configs"
	"sparrow/nn"
)

// rules travel to workers as the [[linear]] tables of a config.
type rules []nn.Rule

type rulesTable struct {
	Linear []nn.Rule `toml:"linear"`
}

func (r rules) MarshalJSON() ([]byte, error) {
	text, err := configs.Encode(rulesTable{r})
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

func (r *rules) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	var table rulesTable
	err := configs.Decode("linear", []byte(text), &table, configs.Options{Lists: configs.With(configs.Lists{}, nn.Kinds()...)})
	*r = table.Linear
	return err
}
