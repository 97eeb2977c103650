module sparrow

go 1.26.0

require (
	// TOML with key positions, under our strict decoder. MIT, 6k lines, active (release of December 2025).
	github.com/BurntSushi/toml v1.6.0
	// Chat templates as Jinja. Apache-2.0, 6k lines, active (October 2026); guarded, see package data/chat.
	github.com/ardanlabs/jinja v1.8.0
	// The types in gorgonia.Op's interface. MIT, 1.5k lines, finished (unchanged since 2017).
	github.com/chewxy/hm v1.0.0
	// Locks of run folders. BSD-3, 0.8k lines, active (October 2025).
	github.com/gofrs/flock v0.13.0
	// Differences in failing tests. BSD-3, 7k lines, active (January 2025).
	github.com/google/go-cmp v0.7.0
	// Grapheme clusters in compiled normalizations of sentencepiece. MIT, 3k lines of code, quiet (February 2024).
	github.com/rivo/uniseg v0.4.7
	// Tests of the commands as scripts. BSD-3, 10k lines of which one package is used, active (July 2026).
	github.com/rogpeppe/go-internal v1.16.0
	// Checks values of JSON schemas that requests bring. Apache-2.0, 6k lines, active (June 2026); guarded, see package serve/constrain.
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	// Reads npy arrays in tests and in bench. BSD-3, 2.5k lines, quiet (January 2022).
	github.com/sbinet/npyio v0.6.0
	// Commands, flags and help. Apache-2.0, 7k lines, active (December 2025).
	github.com/spf13/cobra v1.10.2
	// Letters on what model explain draws. BSD-3, 60k lines of which one font is used, linked by gonum's plots anyway; the Go team's.
	golang.org/x/image v0.30.0
	// CPU features, atomic renames, free memory. BSD-3, 240k lines of which two packages are used, the Go team's.
	golang.org/x/sys v0.48.0
	// Whether progress goes to a terminal. BSD-3, 1.4k lines, the Go team's.
	golang.org/x/term v0.44.0
	// Unicode normalisation in WordPiece. BSD-3, mostly tables, one package is used, the Go team's.
	golang.org/x/text v0.42.0
	// Loss curves as SVG. BSD-3, 19k lines, active (September 2025).
	gonum.org/v1/plot v0.17.0
	// Wire format of TensorBoard events and of ONNX. BSD-3, 200k lines of which one package is used, Google's.
	google.golang.org/protobuf v1.36.12
	// Graphs, differentiation and the tape machine. Apache-2.0, 43k lines, quiet (October 2023).
	gorgonia.org/gorgonia v0.9.18
	// The values in Gorgonia's graphs. Apache-2.0, 93k lines, quiet (July 2022).
	gorgonia.org/tensor v0.9.24
)

// Static analysis in make check, never linked into a binary. MIT, 77k lines, active (October 2026).
tool honnef.co/go/tools/cmd/staticcheck

require honnef.co/go/tools v0.8.2 // indirect

require (
	// What Prometheus collects of a server. Apache-2.0, 20k lines, active (October 2026); only package serve uses it.
	github.com/prometheus/client_golang v1.25.0
	github.com/spf13/pflag v1.0.9
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/apache/arrow/go/arrow v0.0.0-20211112161151-bc219186db40 // indirect
	github.com/awalterschulze/gographviz v2.0.3+incompatible // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/chewxy/math32 v1.10.1 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/golang/protobuf v1.5.2 // indirect
	github.com/google/flatbuffers v2.0.6+incompatible // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/leesper/go_rng v0.0.0-20190531154944-a612b043e353 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/xtgo/set v1.0.0 // indirect
	go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	golang.org/x/xerrors v0.0.0-20200804184101-5ec99f83aff1 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
	gorgonia.org/cu v0.9.4 // indirect
	gorgonia.org/dawson v1.2.0 // indirect
	gorgonia.org/vecf32 v0.9.0 // indirect
	gorgonia.org/vecf64 v0.9.0 // indirect
)
