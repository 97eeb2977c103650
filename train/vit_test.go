package train

import (
	"math"
	"path/filepath"
	"testing"

	"sparrow/metrics"
	"sparrow/model/vit"
	"sparrow/recipe"
)

// visionLosses are the first ten training losses of a small vision transformer, in nats an image, as this program computed them
// when its gradients were those of transformers. A change that is not meant to change results must keep them.
var visionLosses = []float64{
	1.82101645, 1.80435303, 1.86796938, 1.86624606, 1.81363542, 1.78979520, 1.78625735, 1.78217157, 1.75703784, 1.78629984,
}

// TestVisionTransformer: a vision transformer trains as it did, and learns what it is shown.
func TestVisionTransformer(t *testing.T) {
	cfg := imageConfig(t)
	v := vit.DefaultBody()
	v.Patch, v.DModel, v.NLayer, v.DFF, v.Attention.NHead = 4, 16, 2, 32, 2
	cfg.Model = recipe.ModelOf(v)
	cfg.Train.Steps, cfg.Train.LearningRate = len(visionLosses), 3e-3
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var losses []float64
	for _, r := range records {
		if loss, ok := r.Value("loss"); ok && r.Kind == metrics.KindTrain {
			losses = append(losses, loss)
		}
	}
	for i, want := range visionLosses {
		if len(losses) != len(visionLosses) || math.Abs(losses[i]/want-1) > 1e-5 {
			t.Fatalf("losses %.8f, want %.8f", losses, visionLosses)
		}
	}
	cfg.Train.Steps, cfg.Eval.Every = 120, 120
	r, err := mustTrain(t, cfg, filepath.Join(t.TempDir(), "long"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy, _ := r.Score.Value("accuracy"); accuracy < 0.99 {
		t.Errorf("%+v, want an accuracy of 1", r.Score)
	}
}
