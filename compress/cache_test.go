package compress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sparrow/checkpoints"
)

// TestSharedCache: of many that put the same entry into a cache at once one succeeds, none damages it, and nothing else is
// left but what another may still be writing.
func TestSharedCache(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	dir := filepath.Join(cache, "fisher-0123")
	contents := checkpoints.Contents{Kind: "statistics", Arrays: map[string][]checkpoints.Array{
		"statistics.npz": {{Name: "a.rows", Shape: []int{20000}, Data: make([]float64, 20000)}},
	}}
	fresh, forgottenOne := filepath.Join(cache, ".tmp-fisher-1-2"), filepath.Join(cache, ".tmp-fisher-3-4")
	for _, left := range []string{fresh, forgottenOne} {
		if err := os.MkdirAll(left, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * forgotten)
	if err := os.Chtimes(forgottenOne, old, old); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { errs[i] = share(dir, contents) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d have put it there, want 1: %v", won, errs)
	}
	if c, err := checkpoints.Open(dir); err != nil {
		t.Error(err)
	} else if _, err := c.Arrays("statistics.npz"); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 2 || entries[0].Name() != filepath.Base(fresh) {
		t.Errorf("the cache has %v (%v), want the entry and what is fresh", entries, err)
	}
}

// TestDamagedCache: statistics whose folder is damaged in any way, its manifest above all, are computed again, which the
// user is told, and the folder is sound from then on.
func TestDamagedCache(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "fwsvd", 0.5)
	want, err := MakePlan(context.Background(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := filepath.Glob(filepath.Join(cfg.Compress.Cache, "*"))
	if err != nil || len(entries) == 0 {
		t.Fatalf("the cache has %v (%v), want an entry", entries, err)
	}
	entry := entries[0]
	manifest := filepath.Join(entry, "manifest.json")
	for _, c := range []struct {
		name   string
		damage func() error
	}{
		{"manifest cut short", func() error { return os.Truncate(manifest, 100) }},
		{"manifest empty", func() error { return os.Truncate(manifest, 0) }},
		{"manifest missing", func() error { return os.Remove(manifest) }},
		{"arrays missing", func() error { return os.Remove(filepath.Join(entry, "statistics.npz")) }},
		{"a file in its place", func() error {
			return errors.Join(os.RemoveAll(entry), os.WriteFile(entry, []byte("x"), 0o644))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.damage(); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			got, err := MakePlan(context.Background(), cfg, &out)
			if err != nil {
				t.Fatal(err)
			}
			if got.Loss != want.Loss {
				t.Errorf("predicted loss %g, want %g", got.Loss, want.Loss)
			}
			if said := out.String(); !strings.Contains(said, "computed again: "+entry) {
				t.Errorf("said %q, want that %s is computed again", said, entry)
			}
			if _, err := checkpoints.Open(entry); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestConcurrentCompressions: compressions that share a cache and begin at once end with the same plan, whoever was first.
func TestConcurrentCompressions(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "fwsvd", 0.5)
	want, err := MakePlan(context.Background(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		cfg.Compress.Cache = t.TempDir()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				got, err := MakePlan(context.Background(), cfg, io.Discard)
				if err != nil {
					t.Error(err)
				} else if got.Loss != want.Loss {
					t.Errorf("predicted loss %g, want %g", got.Loss, want.Loss)
				}
			})
		}
		all.Wait()
	}
}

// TestSharedMoments: layers that read one value have its moments in one memory, computed and from the cache.
func TestSharedMoments(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "svd_llm", 0.5)
	cfg.Compress.Allocation = "uniform"
	var before map[string]*Statistics
	for _, from := range []string{"computed", "cached"} {
		s := mustOpen(t, cfg)
		if err := s.calibrate(context.Background()); err != nil {
			t.Fatal(err)
		}
		at := func(layer string) *float64 { return &s.stats["model.layers.0."+layer].Moment[0] }
		if q := at("self_attn.q_proj"); q != at("self_attn.k_proj") || q != at("self_attn.v_proj") || q == at("self_attn.o_proj") || at("mlp.gate_proj") != at("mlp.up_proj") {
			t.Errorf("%s: layers that read one value have moments of their own, or others share them", from)
		}
		for name, x := range before {
			if !slices.Equal(x.Moment, s.stats[name].Moment) || !slices.Equal(x.Size, s.stats[name].Size) {
				t.Errorf("%s has other moments in the cache", name)
			}
		}
		before = s.stats
	}
}
