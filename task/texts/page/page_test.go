package page

import (
	"bytes"
	"strings"
	"testing"

	"sparrow/task"
)

// TestAttentionPage: every word of every head is there once, escaped, with its weight and a shade between the head's smallest
// weight and its largest; nothing comes from elsewhere.
func TestAttentionPage(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, "Attention of <run>", []task.Prediction{{{Name: "pos", X: 0.75}, {Name: "neg", X: 0.25}}, {{Name: "score", X: -1.5}}}, []task.Attention{
		{Tokens: []string{"a", "<b>&", "c"}, Heads: [][]float64{{0.1, 0.7, 0.2}, {0.25, 0.25, 0.5}}},
		{Tokens: []string{"word"}, Heads: [][]float64{{1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for want, count := range map[string]int{
		"<h2>1. pos 0.7500</h2>": 1, "<h2>2. score -1.5000</h2>": 1, "Attention of &lt;run&gt;": 2,
		`<th scope="row">mean</th>`: 1, `<th scope="row">head 1</th>`: 2, `<th scope="row">head 2</th>`: 1, "<span": 13,
		`title="0.1000" style="background:rgba(27,102,174,0.000)">a</span>`:                           1,
		`class="dark" title="0.7000" style="background:rgba(27,102,174,1.000)">&lt;b&gt;&amp;</span>`: 1,
		`title="0.2000" style="background:rgba(27,102,174,0.167)">c</span>`:                           1,
		`title="0.3500" style="background:rgba(27,102,174,0.583)">c</span>`:                           1, // of 0.175, 0.475 and 0.35
		"<td>0.300 to 2.100</td>": 1, `class="scale"`: 1, ">its largest<": 1, "multiples of an even share": 1, "<td>1.000 to 1.000</td>": 1,
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
