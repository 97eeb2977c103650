package tests

import (
	"bytes"
	"image"
	"image/jpeg"
	_ "image/png" // of what is decoded
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportImages: a vision transformer from elsewhere labels PNG and JPEG files, is measured on a folder of images, comes back from
// its export with the same bytes, and says what it has not.
func TestImportImages(t *testing.T) {
	dir := t.TempDir()
	source, err := filepath.Abs("../interchange/testdata/models/vit")
	if err != nil {
		t.Fatal(err)
	}
	model := func(want int, args ...string) string {
		t.Helper()
		o := run(t, dir, "model", args...)
		if o.code != want {
			t.Fatalf("model %q: exit code %d, want %d: %s", args, o.code, want, o.stderr)
		}
		return o.stdout + o.stderr
	}
	if out := model(0, "import", source, "-o", "vit"); !strings.Contains(out, "3 classes, images of 8 x 8 pixels") || !strings.Contains(out, "predict vit IMAGE.png") {
		t.Errorf("import says %s", out)
	}
	png, err := os.ReadFile(filepath.Join(source, "same.png"))
	if err != nil {
		t.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(png))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.png": png, "b.jpg": b.Bytes(), "train/dog/a.png": png, "train/fish/b.jpg": b.Bytes(), "validation/fish/a.png": png} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := model(0, "predict", "vit", "a.png", "b.jpg"); strings.Count(out, "fish") != 2 { // transformers says so of the first
		t.Errorf("predict says %s", out)
	}
	if out := model(2, "eval", "vit"); !strings.Contains(out, "--set data.root=FOLDER --set data.image_size=8") {
		t.Errorf("eval without images says %s", out)
	}
	if out := model(0, "eval", "vit", "--set", "data.source=image_folder", "--set", "data.root=.", "--set", "data.image_size=8"); !strings.Contains(out, "accuracy    1.0000") {
		t.Errorf("eval says %s", out)
	}
	model(0, "export", "vit", "--format", "hf", "-o", "out")
	model(0, "import", "out", "-o", "back")
	read := func(name string) []byte {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for _, name := range []string{"model.npz", "images.json", "labels.json"} {
		if !bytes.Equal(read("vit/"+name), read("back/"+name)) {
			t.Errorf("%s has other bytes", name)
		}
	}
	config := "name = \"ft\"\n[data]\nsource = \"image_folder\"\nroot = \".\"\nimage_size = 8\n[train]\ninit_from = \"vit\"\nsteps = 2\nbatch_size = 2\n[eval]\nmetric = \"loss\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ft.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := run(t, dir, "train", "run", "-c", "ft.toml", "-o", "ft"); o.code != 0 {
		t.Fatalf("train: %s", o.stderr)
	}
	if tuned := read("ft/checkpoints/step-000002/images.json"); !bytes.Equal(tuned, read("vit/images.json")) {
		t.Errorf("a run that starts from it takes images otherwise: %s", tuned)
	}
	out := model(0, "explain", "vit", "a.png", "-o", "seen.png")
	if _, _, err := image.Decode(bytes.NewReader(read("seen.png"))); err != nil || !strings.Contains(out, "gradient of the loss, gradient over image, attention through blocks, over the image") || !strings.Contains(out, "block 1") {
		t.Errorf("explain says %s and draws: %v", out, err)
	}
	if err := os.Remove(filepath.Join(dir, "out", "preprocessor_config.json")); err != nil {
		t.Fatal(err)
	}
	if out := model(2, "import", "out", "-o", "none"); !strings.Contains(out, "preprocessor_config.json is missing") {
		t.Errorf("without preprocessor_config.json: %s", out)
	}
}
