package clients

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// shop serves a small recommender of films, and returns its address.
func shop(t *testing.T) string {
	t.Helper()
	work := t.TempDir()
	for _, name := range []string{"train", "model"} {
		build := exec.Command("go", "build", "-o", filepath.Join(work, name), "./cmd/"+name)
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	ratings, items := "", "item_id\ttitle\n"
	for i := range 30 {
		items += fmt.Sprintf("%d\tFilm %d of kind %c\n", i, i, 'A'+rune(i%3))
	}
	for u := range 60 {
		for k := range 8 {
			ratings += fmt.Sprintf("u%d\t%d\n", u, (u%3+3*(u/3+k*(1+u%2)))%30)
		}
	}
	config := "name = \"shop\"\n[data]\nsource = \"interactions\"\nratings = \"ratings.tsv\"\nitems = \"items.tsv\"\nvalidation_share = 0\n[model]\nkind = \"ease\"\nlambda = 5\n[eval]\nevery = 0\n"
	for name, text := range map[string]string{"ratings.tsv": ratings, "items.tsv": items, "shop.toml": config} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command(filepath.Join(work, "train"), "run", "-c", "shop.toml", "-o", "run")
	run.Dir = work
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := exec.Command(filepath.Join(work, "model"), "serve", "shop=run", "--listen", "127.0.0.1:0")
	c.Dir = work
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if m := regexp.MustCompile(`msg=ready url=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() { // so that it is not held up
				}
			}()
			return m[1]
		}
	}
	t.Fatalf("it is never ready:\n%s", log.String())
	return ""
}

// TestRecommendPage: who searches the catalogue and likes three films sees the list change with each, and reads why the first is on it.
func TestRecommendPage(t *testing.T) {
	path := browser(t)
	url := shop(t)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	text := func(script string) string {
		t.Helper()
		x, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return x
	}
	wait := func(condition string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); text(condition) != "true"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it never comes to %s:\n%s", condition, text("document.body.innerText"))
			}
		}
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1000, 700), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	wait(`document.getElementById("model").options.length === 1`)
	text(`document.querySelector("[data-tab=recommend]").click()`)
	wait(`document.querySelectorAll("#found .item").length === 12`)
	list := ""
	for i, film := range []string{"Film 3 ", "Film 6 ", "Film 12 "} {
		text(`(() => { const s = document.getElementById("search"); s.value = "` + film + `"; s.dispatchEvent(new Event("input")); })()`)
		wait(`document.querySelectorAll("#found .item").length === 1 && document.querySelector("#found .item").textContent.startsWith("` + film + `")`)
		text(`document.querySelector("#found .item").click()`)
		wait(fmt.Sprintf(`document.querySelectorAll("#liked .item").length === %d && document.querySelectorAll("#best li").length === 10 && document.getElementById("best").innerText !== %q`, i+1, list))
		list = text(`document.getElementById("best").innerText`)
	}
	if first := text(`document.querySelector("#best .item").textContent`); !strings.HasSuffix(first, "of kind A") {
		t.Errorf("the first is %s; want one of kind A, as those that are liked", first)
	}
	text(`document.querySelector("#best .item").click()`)
	wait(`!document.querySelector("#best .why").hidden`)
	if why := text(`document.querySelector("#best .why").textContent`); !strings.HasPrefix(why, "because of Film ") {
		t.Errorf("the first is there %s", why)
	}
	if dir := os.Getenv("SPARROW_PICTURES"); dir != "" {
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "recommend.png"), png, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
