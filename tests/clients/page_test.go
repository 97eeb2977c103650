package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is where Chromium is; the test skips without it.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed")
	return ""
}

// TestPage: the page chats, completes and compares, shows the likeliest tokens, and says what is wrong. With SPARROW_PICTURES
// it leaves pictures in that folder, to be looked at; with SPARROW_URL it asks the server there.
func TestPage(t *testing.T) {
	path := browser(t)
	url, key := os.Getenv("SPARROW_URL"), ""
	if url == "" {
		url, key = served(t), "a-key"
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	do := func(script string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[any]("(() => {"+script+"; return true})()")); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
	}
	wait := func(condition string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
			if err != nil {
				t.Fatalf("%s: %v", condition, err)
			}
			if ok {
				return
			}
			if time.Now().After(end) {
				text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
				t.Fatalf("it never comes to %s:\n%s", condition, text)
			}
		}
	}
	picture := func(name string) {
		t.Helper()
		dir := os.Getenv("SPARROW_PICTURES")
		if dir == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1000, 700), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	if key != "" {
		wait(`trouble && document.getElementById("trouble").textContent.includes("API key")`)
		do(`const k = document.getElementById("key"); k.value = "` + key + `"; k.dispatchEvent(new Event("change"))`)
	}
	wait(`document.getElementById("model").options.length > 1`)
	do(`document.getElementById("model").selectedIndex = 0; document.getElementById("tokens").value = 40; document.getElementById("seed").value = 1; document.getElementById("words").value = "Name three birds."; document.querySelector("#say button").click()`)
	wait(`document.querySelectorAll("#turns .tok").length > 5 && document.getElementById("stop").disabled`)
	do(`document.querySelectorAll("#turns .tok")[3].dispatchEvent(new MouseEvent("mouseover", { bubbles: true }))`)
	wait(`document.querySelectorAll("#tip tr").length === 5 && document.getElementById("tip").style.display === "block"`)
	wait(`/tokens\/s/.test(document.getElementById("pace").textContent)`)
	picture("chat")
	do(`document.querySelector("[data-tab=complete]").click(); document.getElementById("prompt").value = "Once upon a time"; document.getElementById("go").click()`)
	wait(`document.querySelectorAll("#continued .tok").length > 5 && document.getElementById("stop").disabled`)
	picture("complete")
	do(`document.querySelector("[data-tab=look]").click(); document.getElementById("layer").value = 2; document.getElementById("head").value = 3; document.getElementById("see").click()`)
	wait(`document.querySelectorAll("#seen .tok").length > 10 && !document.getElementById("map").hidden`)
	do(`document.querySelectorAll("#seen .tok")[5].dispatchEvent(new MouseEvent("mouseenter"))`)
	wait(`document.querySelectorAll("#seen .tok")[5].style.outline !== "" && document.querySelectorAll("#seen .tok")[2].style.background !== "" && document.querySelectorAll("#seen .tok")[6].style.background === ""`)
	wait(`looked.weights[7].length === 8 && Math.abs(looked.weights[7].reduce((a, b) => a + b) - 1) < 1e-9`)
	picture("attention")
	do(`document.getElementById("layer").value = 99; document.getElementById("see").click()`)
	wait(`document.getElementById("trouble").textContent.includes("layer = 98; want 0 to")`)
	do(`document.querySelector("[data-tab=report]").click()`)
	if os.Getenv("SPARROW_URL") == "" {
		wait(`!document.getElementById("page").hidden && document.getElementById("page").srcdoc.includes("a small report")`)
		picture("report")
		do(`document.getElementById("model").selectedIndex = 1; document.getElementById("model").dispatchEvent(new Event("change"))`)
		wait(`document.getElementById("page").hidden && !document.getElementById("noReport").hidden`)
	} else {
		wait(`document.getElementById("page").srcdoc || !document.getElementById("noReport").hidden`)
		time.Sleep(5 * time.Second) // until a large report is drawn
		picture("report")
	}
	do(`document.querySelector("[data-tab=similar]").click(); document.getElementById("model").selectedIndex = 1; document.getElementById("compare").click()`)
	wait(`document.querySelectorAll("#matrix td").length === 16`)
	wait(`document.querySelector("#matrix td").textContent === "1.00"`)
	picture("similar")
	do(`document.getElementById("model").selectedIndex = 0; document.getElementById("compare").click()`)
	wait(`document.getElementById("trouble").textContent.includes("gives texts no vectors")`)
}
