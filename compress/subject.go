package compress

import (
	"io"

	"sparrow/data"
	"sparrow/model"
	"sparrow/train"
)

// subject is the checkpoint under compression with what its layers are to become.
type subject struct {
	cfg     Config
	loaded  *train.Loaded
	targets []Target
	out     io.Writer // messages and progress

	data  train.Config           // what calibration reads
	stats map[string]*Statistics // by layer, without entries
	keys  map[string]string      // of the statistics that went into them, by kind
	group map[string]*Statistics // entries of the layers in memory
}

// open loads the checkpoint and chooses its layers.
func open(cfg Config, out io.Writer) (*subject, error) {
	l, err := train.Open(cfg.Compress.From, false, model.Options{})
	if err != nil {
		return nil, err
	}
	s := &subject{cfg: cfg, loaded: l, out: out, data: l.Config, stats: map[string]*Statistics{}, keys: map[string]string{}}
	if s.targets, err = targets(l.Session.Store(), cfg.Compress, cfg.Compress.From); err != nil {
		return nil, err
	}
	for _, t := range s.targets {
		if _, err := weightOf(l.Session.Store(), t); err != nil {
			return nil, err
		}
		s.stats[t.Name] = &Statistics{}
	}
	if d := cfg.Compress.Data; d != nil {
		s.data.Data = d.Config
		s.data.Data.Tokenizer, s.data.Data.VocabSize = l.Config.Data.Tokenizer, l.Config.Data.VocabSize
		if kindOf(s.data.Data) != kindOf(l.Config.Data) {
			return nil, refusef("[compress.data] source = %q has %s: the model was trained on %q; want %s", d.Source, kindOf(s.data.Data), l.Config.Data.Source, kindOf(l.Config.Data))
		}
	}
	s.data.Seed = cfg.Seed
	l.Readings = &train.Readings{}
	return s, nil
}

// refusef is the error of what the user asked for and cannot have; it matches train.ErrUsage.
func refusef(format string, args ...any) error {
	return train.Refusef("compress: cannot start: "+format, args...)
}

// kindOf says what data has that a network reads, in words.
func kindOf(cfg data.Config) string {
	switch {
	case cfg.IsImages():
		return "labelled images"
	case cfg.IsLabelled():
		return "labelled texts"
	}
	return "text without labels"
}

// needs is what the methods of all layers read.
func (s *subject) needs() needs {
	n := needs{fisher: s.cfg.Compress.Allocation == "loss"}
	for _, t := range s.targets {
		n = n.or(newMethod(t.Method, s.cfg.Compress).needs())
	}
	return n
}
