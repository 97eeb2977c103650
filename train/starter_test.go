package train

import (
	"errors"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// TestStarters: each network and each source of data that a config may choose has a config to begin with, which is read, and in which
// each commented line can be taken in.
func TestStarters(t *testing.T) {
	networks, sources := Starters()
	for _, kind := range append(networks, sources...) {
		text, err := Starter(kind, "")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		live := strings.Join(lines, "\n")
		for i, line := range lines {
			if _, value, ok := strings.Cut(line, " = "); i > 3 && strings.HasPrefix(line, "# ") && ok && value != "" {
				lines[i] = line[2:]
			}
		}
		for name, text := range map[string]string{"as it is": live, "with all defaults": strings.Join(lines, "\n")} {
			cfg := recipe.Default()
			o := saved.Known()
			if err := configs.Decode("start.toml", []byte(text), &cfg, configs.Options{Lists: o.Lists, Check: o.Check(&cfg)}); err != nil {
				t.Errorf("%s %s: %v\n%s", kind, name, err, text)
			}
		}
		if !strings.Contains(live, "learning_rate = ") || strings.Count(live, "\n# ") < 15 {
			t.Errorf("%s:\n%s", kind, live)
		}
	}
}

func TestStarterErrors(t *testing.T) {
	for _, c := range []struct{ kind, other, want string }{
		{"gpt", "", `no config begins with "gpt"; want a network, one of decoder, encoder,`},
		{"decoder", "mnist", "mnist"},
		{"decoder", "encoder", `"encoder" does not go with "decoder"; want one of goroot`},
		{"favit", "text", "favit"},
	} {
		if _, err := Starter(c.kind, c.other); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.kind, c.other, err, c.want)
		}
	}
	if text, err := Starter("encoder", "table"); err != nil || !strings.Contains(string(text), `label_column = "label"`) || !strings.Contains(string(text), `tokenizer = "wordpiece"`) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestEpochs: passes over the data become steps when its size is known.
func TestEpochs(t *testing.T) {
	cfg, passes := smallConfig(t), 0.05
	cfg.Train.Epochs, cfg.Train.GradAccum = &passes, 2
	var log strings.Builder
	trainer, err := New(t.Context(), cfg, t.TempDir(), false, &log)
	if err != nil {
		t.Fatal(err)
	}
	rows := trainer.facts.Rows
	per := (rows + 3) / 4
	if want := (rows/4 + 1) / 20; trainer.last < want || trainer.last > want+1 || trainer.cfg.Train.Epochs != nil {
		t.Errorf("%d rows make %d steps of 0.05 passes", rows, trainer.last)
	}
	if !strings.Contains(log.String(), "one pass over the training data: ") || trainer.pass() != per {
		t.Errorf("%d steps a pass, want %d:\n%s", trainer.pass(), per, &log)
	}
	cfg.Train.WarmupSteps = 5000
	if _, err := New(t.Context(), cfg, t.TempDir(), false, &log); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "warmup_steps = 5000 is out of range") {
		t.Errorf("a longer warm-up than the run: %v", err)
	}
}
