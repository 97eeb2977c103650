package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sparrow/cmd/model/index"
	"sparrow/configs"
	"sparrow/data"
	"sparrow/interchange"
	"sparrow/internal/cli"
	"sparrow/internal/machine"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/serve"
)

// serveConfig is what `model serve` reads from a file; its flags are the same keys.
type serveConfig struct {
	Models     []serveModel `toml:"models"`
	Listen     string       `toml:"listen" doc:"address and port"`
	Slots      int          `toml:"slots" doc:"sequences that a model continues at once"`
	Queue      int          `toml:"queue" doc:"requests that may wait for a slot of a model"`
	Context    int          `toml:"context" doc:"tokens of a prompt and what follows; 0: the model's, 4096 at most"`
	Compute    string       `toml:"compute" doc:"of products with weights; int8 is faster and rounds weights and what they multiply to 8 bits" choices:"float32|int8"`
	CacheDType string       `toml:"cache_dtype" doc:"of keys and values; int8 has a scale for each vector" choices:"float32|int8"`
	PrefixMB   int          `toml:"prefix_mb" doc:"keys and values kept for prompts that begin alike, of each model; 0: none" unit:"MB"`
	Threads    int          `toml:"threads" doc:"worker threads; 0: one a core"`
	Drain      string       `toml:"drain" doc:"how long running requests may take after SIGTERM, as 25s"`
	APIKeyFile string       `toml:"api_key_file" doc:"file of API keys, one a line; empty: any key will do, and none"`
}

// serveModel is a model that is served.
type serveModel struct {
	Name  string `toml:"name" doc:"by which clients ask for it; empty: the name of its folder"`
	Path  string `toml:"path" doc:"run or checkpoint"`
	Base  string `toml:"base" doc:"of an adapter: the run or checkpoint it was trained on, if that has moved"`
	Draft string `toml:"draft" doc:"smaller model with the same tokens that guesses what it writes, such as a compressed version; empty: none"`

	Index string `toml:"index" doc:"folder of model index build, of items that /v1/search finds by this model; empty: none"`
	Dense string `toml:"dense" doc:"run or checkpoint of the index's sentence encoder, if that has moved; empty: where it was"`

	Features string `toml:"features" doc:"folder of model interpret fit, of whose features requests may add one; empty: none"`

	Adapters []serveAdapter `toml:"adapters"`
}

// serveAdapter is a LoRA adapter over a model, served beside it.
type serveAdapter struct {
	Name string `toml:"name" doc:"by which clients ask for the model with the adapter"`
	Path string `toml:"path" doc:"run or checkpoint of an adapter, or folder of PEFT"`
}

func defaultServe() serveConfig {
	return serveConfig{Listen: "127.0.0.1:8080", Slots: 4, Queue: 256, Compute: "float32", CacheDType: "float32", PrefixMB: 256, Drain: "25s"}
}

// Validate reports what no server can be.
func (c serveConfig) Validate(r *configs.Report) {
	r.AtLeast("slots", 1)
	r.AtLeast("queue", 0)
	r.AtLeast("context", 0)
	r.AtLeast("prefix_mb", 0)
	r.OneOf("compute")
	r.OneOf("cache_dtype")
	if _, err := c.drain(); err != nil {
		r.Errorf("drain", "is no time; want one such as 25s or 2m")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		r.Errorf("listen", "is no address with a port; want one such as 127.0.0.1:8080")
	}
}

func (c serveConfig) drain() (time.Duration, error) { return time.ParseDuration(c.Drain) }

func serveCommand() *cobra.Command {
	var file, draft, indexed string
	var adapters []string
	c := &cobra.Command{
		Use:   "serve [NAME=]RUN|CHECKPOINT...",
		Short: "Answer requests over HTTP, in the manner of OpenAI's interface",
		Long: `Answer requests over HTTP, in the manner of OpenAI's interface: completions, chat, embeddings, classes and rankings, of several
models in one process; --index adds search among the items of an index. A model has the name of its folder, or the one that stands before the =.

Without --api-key-file any key will do, and none. The server listens on this machine alone unless --listen says otherwise. On SIGTERM
it takes no more requests, finishes those that run within --drain, and ends; a second signal ends it at once.`,
		Example: "  model serve models/smollm2\n  model serve small=runs/a large=runs/b --listen 127.0.0.1:9000 --slots 8",
	}
	keys, err := configs.Keys(&serveConfig{}, configs.Lists{})
	if err != nil {
		panic(err) // a mistake in the tags above
	}
	preset := defaultServe()
	f := c.Flags()
	f.StringVarP(&file, "config", "c", "", "TOML file with these settings and [[models]]; flags win")
	doc := func(key string) string {
		for _, k := range keys {
			if k.Name == key {
				return k.Doc
			}
		}
		return ""
	}
	f.String("listen", preset.Listen, doc("listen"))
	f.Int("slots", preset.Slots, doc("slots"))
	f.Int("queue", preset.Queue, doc("queue"))
	f.Int("context", preset.Context, doc("context"))
	f.String("compute", preset.Compute, doc("compute"))
	f.String("cache-dtype", preset.CacheDType, doc("cache_dtype"))
	f.Int("prefix-mb", preset.PrefixMB, doc("prefix_mb"))
	f.Int("threads", preset.Threads, doc("threads"))
	f.String("drain", preset.Drain, doc("drain"))
	f.StringVar(&draft, "draft", "", "of the one model: a smaller one with the same tokens that guesses what it writes")
	f.StringVar(&indexed, "index", "", "of the one model: folder of model index build, of items that /v1/search finds by it")
	f.StringArrayVar(&adapters, "adapter", nil, "of the one model: a LoRA adapter over it as NAME=DIR, served beside it (repeatable)")
	f.String("api-key-file", "", doc("api_key_file"))
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg := preset
		o := configs.Options{}
		c.Flags().Visit(func(f *pflag.Flag) {
			value := f.Value.String()
			if f.Value.Type() == "string" {
				value = strconv.Quote(value)
			}
			if f.Name != "config" && f.Name != "draft" && f.Name != "adapter" && f.Name != "index" {
				o.Set = append(o.Set, strings.ReplaceAll(f.Name, "-", "_")+"="+value)
			}
		})
		var err error
		if file == "" {
			err = configs.Decode("flags", nil, &cfg, o)
		} else {
			err = configs.Load(file, &cfg, o)
		}
		if err != nil {
			return err
		}
		for _, arg := range args {
			m := serveModel{Path: arg}
			if name, path, found := strings.Cut(arg, "="); found {
				m.Name, m.Path = name, path
			}
			cfg.Models = append(cfg.Models, m)
		}
		if len(cfg.Models) == 0 {
			return cli.Usagef("no models to serve; name a run or checkpoint, or a file with [[models]] by -c")
		}
		if draft != "" {
			if len(cfg.Models) > 1 {
				return cli.Usagef("--draft is of one model and there are %d; give each its draft in a file, by -c", len(cfg.Models))
			}
			cfg.Models[0].Draft = draft
		}
		if indexed != "" {
			if len(cfg.Models) > 1 {
				return cli.Usagef("--index is of one model and there are %d; give each its index in a file, by -c", len(cfg.Models))
			}
			cfg.Models[0].Index = indexed
		}
		if len(adapters) > 0 && len(cfg.Models) > 1 {
			return cli.Usagef("--adapter is of one model and there are %d; give each its adapters in a file, by -c", len(cfg.Models))
		}
		for _, arg := range adapters {
			name, path, found := strings.Cut(arg, "=")
			if !found || name == "" || path == "" {
				return cli.Usagef("--adapter %s; want NAME=DIR", arg)
			}
			cfg.Models[0].Adapters = append(cfg.Models[0].Adapters, serveAdapter{name, path})
		}
		return serveModels(cfg)
	}
	return c
}

// serveModels opens the models and answers requests until a signal.
func serveModels(cfg serveConfig) error {
	if err := cli.SetThreads(cfg.Threads); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	keys, err := apiKeys(cfg.APIKeyFile)
	if err != nil {
		return err
	}
	drain, err := cfg.drain()
	if err != nil {
		return err
	}
	began := time.Now()
	models, err := cfg.open()
	if err != nil {
		return err
	}
	prefix := int64(cfg.PrefixMB) << 20
	if prefix == 0 {
		prefix = -1
	}
	s, err := serve.New(serve.Options{Slots: cfg.Slots, Queue: cfg.Queue, Context: cfg.Context, PrefixBytes: prefix, Keys: keys, Log: log}, models...)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer s.Close()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	defer machine.LimitGarbage(int(memory.HeapAlloc) + max(0, int(prefix)))() // keys and values are most of what is alive
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return cli.Usagef("--listen %s: %w", cfg.Listen, err)
	}
	if host, _, _ := net.SplitHostPort(cfg.Listen); len(keys) == 0 && !loopback(host) {
		log.Warn("everyone who reaches this address may use the models: give API keys by --api-key-file, and put TLS in front", "listen", cfg.Listen)
	}
	for _, m := range models {
		log.Info("model", "name", m.Name, "path", m.Model.Dir)
	}
	log.Info("ready", "url", "http://"+l.Addr().String(), "seconds", time.Since(began).Seconds())
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ReadTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go giveBack(s)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-signals:
	}
	log.Info("shutting down", "drain", drain.String())
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	go func() {
		<-signals
		log.Warn("ended at once")
		os.Exit(shell.ExitInterrupted)
	}()
	cut := s.Drain(ctx)
	last, stop := context.WithTimeout(context.Background(), 5*time.Second) // for answers on their way
	defer stop()
	err = server.Shutdown(last)
	log.Info("ended", "cut", cut)
	return err
}

// giveBack returns memory that nobody uses to the system once a server has had nothing to write for two seconds.
func giveBack(s *serve.Server) {
	quiet, worked := 0, false
	for range time.Tick(time.Second) {
		if s.Busy() > 0 {
			quiet, worked = 0, true
		} else if quiet++; worked && quiet == 2 {
			worked = false
			debug.FreeOSMemory()
		}
	}
}

// open opens the models, each before its adapters.
func (c serveConfig) open() (models []serve.Model, err error) {
	o := model.Options{Packed: true, Int8: c.Compute == "int8", Int8Cache: c.CacheDType == "int8"}
	for _, m := range c.Models {
		l, err := saved.OpenOn(m.Path, m.Base, false, o)
		if err != nil {
			return nil, err
		}
		if m.Name == "" {
			m.Name = filepath.Base(filepath.Clean(m.Path))
		}
		x := serve.Model{Name: m.Name, Model: l}
		if x.Report, err = reportOf(l.Dir); err != nil {
			return nil, err
		}
		if m.Draft != "" {
			quick := o
			quick.Int8 = true // a guess need not be exact
			if x.Draft, err = saved.Open(m.Draft, false, quick); err != nil {
				return nil, err
			}
		}
		if m.Features != "" {
			if x.Steer, err = steerer(l, m.Features); err != nil {
				return nil, err
			}
		}
		if m.Index != "" {
			if x.Search, err = index.Searcher(l, o.Int8, m.Index, m.Dense); err != nil {
				return nil, err
			}
		}
		models = append(models, x)
		for _, a := range m.Adapters {
			over, err := openAdapter(l, a.Path, o)
			if err != nil {
				return nil, err
			}
			models = append(models, serve.Model{Name: a.Name, Model: over, Draft: x.Draft})
		}
	}
	return models, nil
}

// reportOf is the page on the compression whose folder holds a checkpoint; nil: there is none.
func reportOf(checkpoint string) ([]byte, error) {
	run := filepath.Dir(filepath.Dir(filepath.Clean(checkpoint))) // that holds checkpoints/
	if filepath.Base(run) == "finetune" {
		run = filepath.Dir(run)
	}
	for _, name := range []string{"compress.toml", "report.html"} { // a run of training has a page too, of another kind
		if _, err := os.Stat(filepath.Join(run, name)); err != nil {
			return nil, nil
		}
	}
	return data.ReadFile(filepath.Join(run, "report.html"))
}

// openAdapter opens an adapter over the weights of a model that is open: one of this project, or of PEFT.
func openAdapter(l *saved.Model, path string, o model.Options) (*saved.Model, error) {
	if !interchange.IsAdapter(path) {
		return l.OpenAdapter(path, o)
	}
	layers, err := interchange.ReadAdapter(path)
	if err != nil {
		return nil, err
	}
	return l.WithAdapter(path, layers, o)
}

// loopback tells whether only this machine reaches a host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// apiKeys reads a file of keys.
func apiKeys(path string) (keys []string, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := data.ReadFile(path)
	if err != nil {
		return nil, cli.Usagef("--api-key-file: %w", err)
	}
	for line := range bytes.Lines(text) {
		if key := strings.TrimSpace(string(line)); key != "" && key[0] != '#' {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, cli.Usagef("--api-key-file %s holds no key; want one a line", path)
	}
	return keys, nil
}
