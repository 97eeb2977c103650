package tests

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sparrow/discover"
	"sparrow/factor"
	"sparrow/internal/rng"
)

// unlike are classes of comments whose two halves have nothing in common but the class.
var unlike = [][2]string{{"crypto/tls", "cmd/compile/internal/ssa"}, {"net/http", "cmd/link/internal/ld"}, {"go/types", "math/..."}, {"encoding/...", "runtime"}}

// commentsOf are the comments of a package's files, of ten words or more.
func commentsOf(t *testing.T, path string) []string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command to tell where the standard library is")
	}
	dir, pattern := filepath.Join(strings.TrimSpace(string(root)), "src", strings.TrimSuffix(path, "/...")), "*.go"
	if strings.HasSuffix(path, "/...") {
		pattern = "*/*.go"
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("no source of package %s at %s", path, dir)
	}
	var texts []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var groups []*ast.CommentGroup
		for _, g := range parsed.Comments {
			if g.Pos() > parsed.Package { // not the licence
				groups = append(groups, g)
			}
		}
		for _, g := range groups {
			if text := g.Text(); len(strings.Fields(text)) >= 10 {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

var commentWord = regexp.MustCompile(`[a-z]{2,}`)

// latent are texts as vectors: TF-IDF of the words in five texts or more, in width directions of most variance, of length 1 (latent
// semantic analysis).
func latent(t *testing.T, texts []string, width int) *factor.Matrix {
	t.Helper()
	counts := make([]map[string]float64, len(texts))
	in := map[string]int{}
	for i, text := range texts {
		counts[i] = map[string]float64{}
		for _, w := range commentWord.FindAllString(strings.ToLower(text), -1) {
			if counts[i][w]++; counts[i][w] == 1 {
				in[w]++
			}
		}
	}
	var words []string
	for w, n := range in {
		if n >= 5 {
			words = append(words, w)
		}
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(in[b], in[a]), cmp.Compare(a, b)) })
	words = words[:min(len(words), 3000)]
	x := factor.NewMatrix(len(texts), len(words))
	unit := func(row []float64) {
		sum := 0.0
		for _, v := range row {
			sum += v * v
		}
		for k := range row {
			row[k] /= math.Sqrt(max(sum, 1e-12))
		}
	}
	for i := range texts {
		for k, w := range words {
			if n := counts[i][w]; n > 0 {
				x.Row(i)[k] = (1 + math.Log(n)) * math.Log(float64(len(texts))/float64(in[w]))
			}
		}
		unit(x.Row(i))
	}
	s, err := factor.RandomizedSVD(t.Context(), x, factor.RandomizedConfig{Rank: width, Oversample: 20, Power: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := factor.NewMatrix(len(texts), width)
	for i := range out.Rows {
		for k := range width {
			out.Row(i)[k] = s.U.Row(i)[k] * s.S[k]
		}
		unit(out.Row(i))
	}
	return out
}

// TestDiscoverUnlikeComments: classes made of the comments of two unrelated packages each are found in eight domains, where
// clustering of the same vectors finds the packages. With permuted domains nothing is found.
func TestDiscoverUnlikeComments(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	const domains, each = 8, 800
	k := len(unlike)
	// Shares of the classes by domain: a Dirichlet draw of 0.5 / 4 each would do as well; these have no luck in them.
	share := func(y, d int) float64 {
		switch (d - y + 2*k) % k {
		case 0:
			return 0.7
		case 1:
			return 0.2 + 0.05*float64(d/k)
		}
		return (0.1 - 0.05*float64(d/k)) / 2
	}
	draw := rng.New(1, "tests/discover", 0)
	var texts []string
	var class, domain []int
	for y, pair := range unlike {
		for _, path := range pair {
			all := commentsOf(t, path)
			if len(all) < each {
				t.Skipf("package %s has %d comments, want %d", path, len(all), each)
			}
			for i := range all {
				j := i + draw.Intn(len(all)-i)
				all[i], all[j] = all[j], all[i]
			}
			for _, text := range all[:each] {
				total := 0.0
				for d := range domains {
					total += share(y, d)
				}
				u, d := draw.Float64()*total, 0
				for ; d < domains-1; d++ {
					if u -= share(y, d); u < 0 {
						break
					}
				}
				texts, class, domain = append(texts, text), append(class, y), append(domain, d)
			}
		}
	}
	for i := range texts {
		j := i + draw.Intn(len(texts)-i)
		texts[i], texts[j] = texts[j], texts[i]
		class[i], class[j] = class[j], class[i]
		domain[i], domain[j] = domain[j], domain[i]
	}
	x := latent(t, texts, 200)
	clusters, err := factor.KMeans(t.Context(), x, factor.KMeansConfig{K: k}, nil)
	if err != nil {
		t.Fatal(err)
	}
	blind, _ := discover.Accuracy(clusters.Of, class, k, k)
	find := func(domain []int) (*discover.Found, error) {
		n := x.Rows * 7 / 10
		part := func(lo, hi int) *factor.Matrix {
			return &factor.Matrix{Rows: hi - lo, Cols: x.Cols, Data: x.Data[lo*x.Cols : hi*x.Cols]}
		}
		head, err := discover.FitHead(t.Context(), part(0, n), domain[:n], domains, part(n, x.Rows), domain[n:])
		if err != nil {
			t.Fatal(err)
		}
		s := discover.Samples{Posterior: head.Probabilities(x), Domain: domain, Held: make([]bool, x.Rows), Sizes: make([]int, domains)}
		for i := range s.Held {
			if s.Held[i] = i >= n; !s.Held[i] {
				s.Sizes[domain[i]]++
			}
		}
		for d := range domains {
			s.Names = append(s.Names, string(rune('a'+d)))
		}
		return discover.Find(t.Context(), s, discover.Config{Classes: k})
	}
	found, err := find(domain)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, _ := discover.Accuracy(found.Label, class, k, k)
	t.Logf("accuracy %.3f of %d comments, k-means %.3f, %d classes show, purity %.2f", accuracy, len(texts), blind, found.Rank.Classes, found.Purity)
	if accuracy < 0.8 || accuracy < blind+0.2 {
		t.Errorf("accuracy %.3f, k-means %.3f; want 0.8 and 0.2 more", accuracy, blind)
	}
	permuted := slices.Clone(domain)
	for i := range permuted {
		j := i + draw.Intn(len(permuted)-i)
		permuted[i], permuted[j] = permuted[j], permuted[i]
	}
	if f, err := find(permuted); err == nil {
		t.Errorf("with permuted domains there are %d classes", len(f.Model.Classes))
	} else {
		t.Logf("permuted: %v", err)
	}
}
