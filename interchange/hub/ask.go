package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Limits of what a hub may say.
const (
	maxList  = 32 << 20 // bytes of the list of files
	maxFiles = 1000     // of one import
	maxSize  = 1 << 46  // bytes of a file
	maxHops  = 10       // redirects
)

// file is what a hub says of one.
type file struct {
	name     string
	url      string
	size     int64
	checksum string // SHA-256 of the bytes, or SHA-1 of the git blob, in lower-case hexadecimal digits: also its name in the cache
}

// request asks for a path of the hub, with the token.
func (h *Hub) request(ctx context.Context, method, address string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "sparrow")
	r.Header.Set("Accept-Encoding", "identity") // sizes and ranges are of the file, not of what a transport makes of it
	if h.Token != "" {
		r.Header.Set("Authorization", "Bearer "+h.Token)
	}
	return r, nil
}

// redirect follows no more than maxHops, never from https to http, and takes the token to no other host or port. A HEAD is not
// followed to another host: what the hub itself says of the file counts.
func redirect(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) >= maxHops {
		return fmt.Errorf("more than %d redirects", maxHops)
	}
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || first.Scheme == "https") {
		return fmt.Errorf("a redirect from %s to %s", first.Scheme, r.URL.Scheme)
	}
	if r.URL.Host == first.Host && r.URL.Scheme == first.Scheme {
		return nil
	}
	r.Header.Del("Authorization")
	if r.Method == http.MethodHead {
		return http.ErrUseLastResponse
	}
	return nil
}

// address is that of a path of the hub, whose parts are escaped.
func (h *Hub) address(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return h.Endpoint + "/" + strings.Join(parts, "/")
}

// list finds the commit of a revision and the names of its files.
func (h *Hub) list(ctx context.Context, id ID) (commit string, names []string, err error) {
	r, err := h.request(ctx, http.MethodGet, h.address("api", "models", id.Owner, id.Name, "revision", id.Revision))
	if err != nil {
		return "", nil, err
	}
	a, err := h.client.Do(r)
	if err != nil {
		return "", nil, unreachable(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return "", nil, h.refusal(a, id, "")
	}
	var said struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	text, err := io.ReadAll(io.LimitReader(a.Body, maxList+1))
	if err != nil {
		return "", nil, unreachable(err)
	}
	if len(text) > maxList {
		return "", nil, fmt.Errorf("%w: the list of files of %s has more than %d bytes", ErrHub, id.Repo(), maxList)
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", nil, fmt.Errorf("%w: %s does not answer as a hub does: %w", ErrHub, h.Endpoint, err)
	}
	if !commitID.MatchString(said.SHA) {
		return "", nil, fmt.Errorf("%w: %s gives the commit %q, which is none", ErrHub, h.Endpoint, said.SHA)
	}
	if commitID.MatchString(id.Revision) && said.SHA != id.Revision {
		return "", nil, fmt.Errorf("%w: %s answers with commit %s in place of %s", ErrHub, h.Endpoint, said.SHA, id.Revision)
	}
	for _, s := range said.Siblings {
		names = append(names, s.Name)
	}
	return said.SHA, names, nil
}

// checksums are what a hub's etags are made of.
var checksums = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// head asks for the size and the checksum of a file.
func (h *Hub) head(ctx context.Context, id ID, commit, name string) (f file, err error) {
	f = file{name: name, url: h.address(append([]string{id.Owner, id.Name, "resolve", commit}, strings.Split(name, "/")...)...)}
	r, err := h.request(ctx, http.MethodHead, f.url)
	if err != nil {
		return f, err
	}
	a, err := h.client.Do(r)
	if err != nil {
		return f, unreachable(err)
	}
	a.Body.Close()
	if a.StatusCode != http.StatusOK && (a.StatusCode < 300 || a.StatusCode >= 400) {
		return f, h.refusal(a, id, name)
	}
	say := func(key string) string { // the answer's word, or that of a redirect on the way
		for step := a; step != nil; step = step.Request.Response {
			if v := step.Header.Get(key); v != "" {
				return v
			}
		}
		return ""
	}
	if c := say("X-Repo-Commit"); c != "" && c != commit {
		return f, fmt.Errorf("%w: %s: the hub answers for commit %q in place of %s", ErrHub, name, c, commit)
	}
	f.checksum = strings.ToLower(strings.Trim(strings.TrimPrefix(cmp.Or(say("X-Linked-Etag"), a.Header.Get("Etag")), "W/"), `"`))
	if !checksums.MatchString(f.checksum) {
		return f, fmt.Errorf("%w: %s: the hub gives the checksum %q; want the SHA-256 of the file or the SHA-1 of its git blob", ErrHub, name, f.checksum)
	}
	size := cmp.Or(say("X-Linked-Size"), a.Header.Get("Content-Length"))
	if f.size, err = strconv.ParseInt(size, 10, 64); err != nil || f.size < 0 || f.size > maxSize {
		return f, fmt.Errorf("%w: %s: the hub gives the size %q; want 0 to %d bytes", ErrHub, name, size, int64(maxSize))
	}
	return f, nil
}

// refusal says what an answer other than success means, and what to do next.
func (h *Hub) refusal(a *http.Response, id ID, name string) error {
	what := id.Repo()
	if name != "" {
		what += "/" + name
	}
	code := a.Header.Get("X-Error-Code")
	switch {
	case a.StatusCode == http.StatusUnauthorized && h.Token == "":
		return fmt.Errorf("%w: %s has no public model %s: check the name; of a private or gated one set HF_TOKEN to a token that may read it (%s/settings/tokens)", ErrHub, h.Endpoint, what, h.Endpoint)
	case a.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s does not show %s to the holder of this token: check the name, and that HF_TOKEN is valid and may read it", ErrHub, h.Endpoint, what)
	case a.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %s is gated: accept its conditions at %s/%s, then set HF_TOKEN to a token of that account", ErrHub, what, h.Endpoint, id.Repo())
	case a.StatusCode == http.StatusNotFound && code == "RevisionNotFound":
		return fmt.Errorf("%w: %s has no revision %s; see %s/%s/commits/main", ErrHub, id.Repo(), id.Revision, h.Endpoint, id.Repo())
	case a.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %s has no %s, or no revision %s of it: check the names at %s", ErrHub, h.Endpoint, what, id.Revision, h.address(id.Owner, id.Name))
	}
	return fmt.Errorf("%w: %s answers %q for %s; try again later", ErrTransfer, h.Endpoint, a.Status, what)
}

// unreachable is the error of a request without an answer. The address that net/http puts into it may be a signed one of
// another host, so only its host is told.
func unreachable(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	host := "the hub"
	if at, parsed := url.Parse(u.URL); parsed == nil {
		host = at.Host
	}
	return fmt.Errorf("%w: %s: %w", ErrTransfer, host, u.Err)
}
