package train

import (
	"bytes"
	"strings"
	"testing"
)

// TestAttentionPage: every word of every head is there once, escaped, with its weight and a shade that is its share of the
// head's largest weight; nothing comes from elsewhere.
func TestAttentionPage(t *testing.T) {
	var b bytes.Buffer
	err := WriteAttentionPage(&b, "Attention of <run>", []Prediction{
		{Label: "pos", Probability: 0.75, Tokens: []string{"a", "<b>&"}, Heads: [][]float64{{0.2, 0.8}, {0.5, 0.5}}},
		{Score: -1.5, Tokens: []string{"word"}, Heads: [][]float64{{1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for want, count := range map[string]int{
		"<h2>1. pos 0.7500</h2>": 1, "<h2>2. score -1.5000</h2>": 1, "Attention of &lt;run&gt;": 2,
		`<th scope="row">mean</th>`: 1, `<th scope="row">head 1</th>`: 2, `<th scope="row">head 2</th>`: 1, "<span": 7,
		`title="0.2000" style="background:rgba(27,102,174,0.250)">a</span>`:                           1,
		`class="dark" title="0.8000" style="background:rgba(27,102,174,1.000)">&lt;b&gt;&amp;</span>`: 1,
		`title="0.3500" style="background:rgba(27,102,174,0.538)">a</span>`:                           1,
		"http": 0, "<script": 0, "<b>": 0, "ZgotmplZ": 0,
	} {
		if got := strings.Count(page, want); got != count {
			t.Errorf("%q occurs %d times, want %d", want, got, count)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}
