package corpus

import "encoding/json"

// Generation is what an imported model's generation_config.json says of how it writes.
type Generation struct {
	Ends []int // tokens that end a text
}

// Generation reads it; it says nothing where there is none, or what it says is no token.
func (c *Corpus) Generation() (g Generation) {
	if c.files == nil {
		return g
	}
	text, err := c.files.File("generation_config.json")
	if err != nil {
		return g
	}
	var file struct {
		End json.RawMessage `json:"eos_token_id"`
	}
	if json.Unmarshal(text, &file) != nil {
		return g
	}
	var one int
	if json.Unmarshal(file.End, &one) == nil && string(file.End) != "null" {
		g.Ends = []int{one}
	} else if json.Unmarshal(file.End, &g.Ends) != nil {
		g.Ends = nil
	}
	return g
}
