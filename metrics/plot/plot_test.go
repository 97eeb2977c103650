package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot"

	"sparrow/metrics"
)

// fallingLoss is a noisy run of n steps with an evaluation every tenth of it.
func fallingLoss(n int) []metrics.Record {
	rng := rand.New(rand.NewPCG(1, 1))
	var records []metrics.Record
	for step := 1; step <= n; step++ {
		x := float64(step) / float64(n)
		loss := 1.5 + 4*math.Exp(-8*x)
		records = append(records, trainLoss(step, loss+0.1*rng.NormFloat64()))
		if step%max(1, n/10) == 0 {
			records = append(records, evalLoss(step, loss))
		}
	}
	return records
}

func withLoss(records []metrics.Record, at int, loss float64) []metrics.Record {
	records = slices.Clone(records)
	records[at] = trainLoss(records[at].Step, loss)
	return records
}

func TestWriteLoss(t *testing.T) {
	cases := []struct {
		name     string
		records  []metrics.Record
		want     []string // texts of the picture
		maxBytes int
	}{
		{"no record", nil, []string{"step", "loss (nats per token)"}, 10_000},
		{"one step", fallingLoss(1), []string{"train", "validation (best 1.501 at step 1)"}, 10_000},
		{"two steps", fallingLoss(2), []string{"train", "validation (best 1.501 at step 2)"}, 10_000},
		{"two hundred steps", fallingLoss(200), []string{"train, each step", "train, smoothed",
			"validation (best 1.501 at step 200)", "Training and validation loss"}, 40_000},
		{"a hundred thousand steps", fallingLoss(100_000), []string{"train, smoothed",
			"validation (best 1.501 at step 100,000)", "20,000"}, 120_000},
		{"a NaN", withLoss(fallingLoss(200), 50, math.NaN()), []string{"train, each step (1 not drawn)"}, 40_000},
		{"an infinity", withLoss(fallingLoss(20), 7, math.Inf(1)), []string{"train (1 not drawn)"}, 40_000},
		{"the largest float64", withLoss(fallingLoss(20), 7, math.MaxFloat64), []string{"train (1 not drawn)"}, 40_000},
		{"a spike", withLoss(fallingLoss(200), 50, 1e29), []string{"train, each step"}, 40_000},
		{"only NaN", []metrics.Record{trainLoss(1, math.NaN()), trainLoss(2, math.NaN())}, []string{"train (2 not drawn)"}, 10_000},
		{"no evaluation", []metrics.Record{trainLoss(1, 2), trainLoss(2, 1)}, []string{"train"}, 10_000},
		{"a constant loss", []metrics.Record{trainLoss(1, 2), trainLoss(2, 2)}, []string{"2.00"}, 10_000},
		{"a classifier", []metrics.Record{{Step: 1, Kind: metrics.KindEval, Values: []metrics.Value{{Name: "validation_loss", X: 0.7}, {Name: "accuracy", X: 0.5}}}},
			[]string{"loss (nats per example)"}, 10_000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "loss.svg")
			if err := os.WriteFile(path, []byte("an older picture"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := WriteLoss(path, "", c.records); err != nil {
				t.Fatal(err)
			}
			svg := readSVG(t, path)
			texts := svgTexts(t, svg)
			for _, want := range c.want {
				if !slices.Contains(texts, want) {
					t.Errorf("the picture lacks the text %q; it has %q", want, texts)
				}
			}
			if len(svg) > c.maxBytes {
				t.Errorf("the picture has %d bytes, want at most %d", len(svg), c.maxBytes)
			}
			for _, bad := range []string{"NaN", "Inf"} {
				if strings.Contains(svg, bad) {
					t.Errorf("the picture has a coordinate %s", bad)
				}
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("the folder holds %v, want the picture alone", entries)
			}
			if err := WriteLoss(path, "", c.records); err != nil {
				t.Fatal(err)
			}
			if readSVG(t, path) != svg {
				t.Error("equal records drew different bytes")
			}
		})
	}
}

// svgTexts parses the whole picture, so it also proves that the XML is well formed.
func svgTexts(t *testing.T, svg string) (texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
}

func TestWriteLossMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "loss.svg")
	if err := WriteLoss(path, "", nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("WriteLoss(%q) = %v, want that the folder does not exist", path, err)
	}
}

func TestLossRange(t *testing.T) {
	long := make([]float64, 400)
	for i := range long {
		long[i] = 2 + float64(i%10)/10 // 2 to 2.9
	}
	cases := []struct {
		name              string
		train, validation []float64
		low, high         float64
	}{
		{"nothing", nil, nil, 0, 1},
		{"all losses and a margin", []float64{3, 2, 1}, []float64{6}, 0.8, 6.2},
		{"one loss", []float64{2}, nil, 1.9, 2.1},
		{"a loss of zero", []float64{0}, nil, -0.05, 0.05},
		{"gaps do not count", []float64{1, math.NaN(), math.Inf(1), 2}, nil, 0.96, 2.04},
		{"a spike is cut", append([]float64{1000}, long...), nil, 2 - 0.04*1.35, 3.35 + 0.04*1.35},
		{"a high start is not", append([]float64{4}, long...), nil, 2 - 0.04*2, 4 + 0.04*2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			low, high := lossRange(curveOf(c.train...), curveOf(c.validation...))
			if math.Abs(low-c.low) > 1e-9 || math.Abs(high-c.high) > 1e-9 {
				t.Errorf("lossRange(%v, %v) = %v, %v, want %v, %v", c.train, c.validation, low, high, c.low, c.high)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	cases := []struct {
		name      string
		ticks     func(low, high float64) []plot.Tick
		low, high float64
		want      []string
	}{
		{"losses", lossTicks, 0.8, 6.2, []string{"1", "2", "3", "4", "5", "6"}},
		{"close losses", lossTicks, 1.398, 1.571, []string{"1.40", "1.45", "1.50", "1.55"}},
		{"very close losses", lossTicks, 1.40001, 1.40007, []string{"1.40001", "1.40002", "1.40003", "1.40004", "1.40005", "1.40006"}},
		{"high losses", lossTicks, 100, 4100, []string{"1000", "2000", "3000", "4000"}},
		{"steps", stepTicks, 0, 5000, []string{"0", "1,000", "2,000", "3,000", "4,000", "5,000"}},
		{"two steps", stepTicks, 1, 2, []string{"1", "2"}},
		{"millions of steps", stepTicks, 0, 2_500_000, []string{"0", "500,000", "1,000,000", "1,500,000", "2,000,000", "2,500,000"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, tick := range c.ticks(c.low, c.high) {
				if tick.Value < c.low || tick.Value > c.high {
					t.Errorf("tick %v lies outside %v to %v", tick.Value, c.low, c.high)
				}
				got = append(got, tick.Label)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ticks of %v to %v (-want +got):\n%s", c.low, c.high, diff)
			}
		})
	}
}

func trainLoss(step int, loss float64) metrics.Record {
	return metrics.Record{Step: step, Kind: metrics.KindTrain, Values: []metrics.Value{{Name: "loss", X: loss}}}
}

func evalLoss(step int, loss float64) metrics.Record {
	return metrics.Record{Step: step, Kind: metrics.KindEval, Values: []metrics.Value{{Name: "validation_loss", X: loss}}}
}

func readSVG(t *testing.T, path string) string {
	t.Helper()
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(svg)
}

// TestLogScale: losses of a run that diverged have a logarithmic scale, on which the good ones are still seen, and the title is the run's.
func TestLogScale(t *testing.T) {
	var records []metrics.Record
	for i := range 40 {
		loss := 3.0 - float64(i)/20
		if i > 30 {
			loss = 900
		}
		records = append(records, metrics.Record{Step: i + 1, Kind: metrics.KindTrain, Values: []metrics.Value{{Name: "loss", X: loss}}})
	}
	path := filepath.Join(t.TempDir(), "loss.svg")
	if err := WriteLoss(path, "my run, best by loss", records); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"my run, best by loss", ">2<", ">5<", ">100<", ">500<"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
}
