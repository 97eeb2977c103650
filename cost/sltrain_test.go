package cost

import (
	"strings"
	"testing"
)

// TestAccount: Han et al. 2024, table 2, the 60M column: 0.348 GB in full rank, 0.267 GB of which the indices of S take 8 bytes
// each.
func TestAccount(t *testing.T) {
	full := Account{Name: "full rank", Parameters: 58_073_600}
	if got := full.Total(); got != 6*58_073_600 {
		t.Errorf("full rank takes %d bytes, want 6 a parameter", got)
	}
	sparse := Account{Name: "SLTrain", Parameters: 1000, Sparse: 30}
	if sparse.Weights() != 2000 || sparse.Moments() != 4000 || sparse.Indices() != 240 || sparse.Total() != 6240 {
		t.Errorf("got %d, %d, %d, %d; want 2000, 4000, 240, 6240", sparse.Weights(), sparse.Moments(), sparse.Indices(), sparse.Total())
	}
	table := AccountTable("# ", full, sparse)
	if lines := strings.Split(table, "\n"); len(lines) != 6 || lines[3] != "#   full rank         58.1M  0.116 GB  0.232 GB  0.000 GB  0.348 GB" {
		t.Errorf("the table is\n%s", table)
	}
}
