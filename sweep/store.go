package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
)

// Store keeps the result of each finished point as a small JSON file, named by the hash of what decides it. The program is no part of
// that, so that a refactoring does not cost hours; after a change that matters, use another folder.
type Store struct{ Dir string }

// Open is the store in a folder, which is made.
func Open(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Store{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return Store{dir}, nil
}

// Key names a point by what decides it.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Path is that of a point's file.
func (s Store) Path(key string) string { return filepath.Join(s.Dir, key+".json") }

// Load reads the result of a finished point into a value. A file that a dying disk or an editor has spoilt counts as none.
func (s Store) Load(key string, into any) bool {
	text, err := os.ReadFile(s.Path(key))
	return err == nil && json.Unmarshal(text, into) == nil
}

// Save keeps the result of a finished point, whole or not at all.
func (s Store) Save(key string, result any) error {
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(s.Path(key), append(text, '\n'))
}
