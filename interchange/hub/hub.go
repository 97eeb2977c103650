package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
)

// ErrHub marks what a hub or its cache cannot give.
var ErrHub = shell.Sentinel(shell.ExitUsage, "hub")

// ErrTransfer marks a download that failed and may go on later.
var ErrTransfer = shell.Sentinel(shell.ExitFailed, "hub: not all was transferred")

// ID names a model of a hub.
type ID struct {
	Owner, Name string
	File        string // a file of it; "": the folder
	Revision    string // a branch, a tag or a commit; never ""
}

// Repo is OWNER/NAME.
func (id ID) Repo() string { return id.Owner + "/" + id.Name }

// Names that hubs allow, none of which leads out of a folder.
var (
	partName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	revName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Parse reads OWNER/NAME[/FILE][@REVISION]; without a revision it is "main".
func Parse(text string) (ID, error) {
	path, revision, given := strings.Cut(text, "@")
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 || !partName.MatchString(parts[0]) || !partName.MatchString(parts[1]) || strings.Contains(path, "..") {
		return ID{}, fmt.Errorf("%w: %q is not the name of a model; want OWNER/NAME, OWNER/NAME@REVISION or OWNER/NAME/FILE.gguf", ErrHub, text)
	}
	id := ID{Owner: parts[0], Name: parts[1], Revision: cmp.Or(revision, "main")}
	if len(parts) == 3 {
		id.File = parts[2]
		if err := checkName(id.File); err != nil {
			return ID{}, err
		}
	}
	if given && revision == "" || !revName.MatchString(id.Revision) || strings.Contains(id.Revision, "..") {
		return ID{}, fmt.Errorf("%w: %q is not a revision; want a branch, a tag or a commit", ErrHub, revision)
	}
	return id, nil
}

// checkName refuses the name of a file that does not stay inside a folder.
func checkName(name string) error {
	ok := len(name) <= 255 && filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\\' || r == ':' })
	if !ok {
		return fmt.Errorf("%w: %q is not the name of a file inside a folder", ErrHub, name)
	}
	return nil
}

// Hub is a hub and the cache of what came from it.
type Hub struct {
	Endpoint string // https://huggingface.co
	Token    string // "": none
	Cache    string // folder that holds models--OWNER--NAME
	Offline  bool   // only the cache is asked

	client *http.Client
	pause  time.Duration // before the first repetition; each doubles it
	stall  time.Duration // without a byte, after which an answer counts as cut
}

// Environment is the hub that the environment names, by the variables of huggingface_hub: HF_ENDPOINT, HF_TOKEN or the file
// HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE.
func Environment() *Hub {
	home := os.Getenv("HF_HOME")
	if home == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if user, err := os.UserHomeDir(); base == "" && err == nil {
			base = filepath.Join(user, ".cache")
		}
		home = filepath.Join(base, "huggingface")
	}
	token := os.Getenv("HF_TOKEN")
	if token == "" {
		if text, err := os.ReadFile(cmp.Or(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token"))); err == nil {
			token = string(text)
		}
	}
	offline := strings.ToLower(os.Getenv("HF_HUB_OFFLINE"))
	return &Hub{
		Endpoint: cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), Token: strings.TrimSpace(token),
		Cache: cmp.Or(os.Getenv("HF_HUB_CACHE"), filepath.Join(home, "hub")), Offline: offline == "1" || offline == "true" || offline == "yes" || offline == "on",
	}
}

// Choose picks from the names of all files of a model those that are needed.
type Choose func(names []string) ([]string, error)

// Progress is told how many bytes of all are there; total is known before the first call.
type Progress func(done, total int64)

// Fetch brings the files that want chooses into the cache and returns the folder that holds them, a snapshot of one commit.
// What is there already is not fetched again. after may be nil. Errors match [ErrHub] or [ErrTransfer].
func (h *Hub) Fetch(ctx context.Context, id ID, want Choose, after Progress) (string, error) {
	c := cache{root: h.Cache, id: id}
	if h.Offline {
		return c.snapshot()
	}
	if err := h.prepare(); err != nil {
		return "", err
	}
	unlock, err := c.lock()
	if errors.Is(err, checkpoints.ErrLocked) {
		return "", fmt.Errorf("%w: another process is fetching %s: wait for it", ErrHub, id.Repo())
	}
	if err != nil {
		return "", err
	}
	defer unlock()
	commit, names, err := h.list(ctx, id)
	if err != nil {
		return "", c.advise(ctx, err)
	}
	if names, err = want(names); err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrHub, id.Repo(), err)
	}
	if len(names) > maxFiles {
		return "", fmt.Errorf("%w: %s wants %d files; want at most %d", ErrHub, id.Repo(), len(names), maxFiles)
	}
	var missing []file
	var total int64
	for _, name := range names {
		if err := checkName(name); err != nil {
			return "", err
		}
		if c.has(commit, name) {
			continue
		}
		f, err := h.head(ctx, id, commit, name)
		if err != nil {
			return "", err
		}
		missing, total = append(missing, f), total+f.size
	}
	var done int64
	for _, f := range missing {
		told := func(n int64) {
			if after != nil {
				after(done+n, total)
			}
		}
		if err := h.bring(ctx, c, f, told); err != nil {
			return "", err
		}
		if err := c.link(commit, f); err != nil {
			return "", err
		}
		done += f.size
	}
	return c.folder(commit), c.refer(commit)
}

// bring puts the bytes of a file into the cache, if they are not there under another name.
func (h *Hub) bring(ctx context.Context, c cache, f file, after func(done int64)) error {
	if c.holds(f) {
		after(f.size)
		return nil
	}
	if err := h.download(ctx, c.partial(f), f, after); err != nil {
		return err
	}
	return c.keep(f)
}

// prepare checks the endpoint and fills in the client.
func (h *Hub) prepare() error {
	u, err := url.Parse(h.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%w: HF_ENDPOINT = %q; want the address of a hub, as https://huggingface.co", ErrHub, h.Endpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%w: HF_ENDPOINT holds more than an address; secrets belong in HF_TOKEN", ErrHub)
	}
	h.Endpoint = strings.TrimRight(h.Endpoint, "/")
	h.pause, h.stall = cmp.Or(h.pause, time.Second), cmp.Or(h.stall, time.Minute)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = h.stall
	transport.MaxResponseHeaderBytes = 1 << 18
	h.client = &http.Client{Transport: transport, CheckRedirect: redirect}
	return nil
}
