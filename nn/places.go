package nn

import "fmt"

// CheckIndices returns an error if indices that came from a file cannot be a layer's: places must be distinct, ascending and
// inside its matrix, the atoms of each vector of a block distinct and ascending.
func (s *Store) CheckIndices() error {
	for _, layer := range s.layerNames {
		for _, a := range s.layers[layer].Layout().Arrays {
			name := layer + "." + a.Name
			if x := s.atoms[name]; a.Atoms != nil && x.Index != nil {
				if err := x.check(); err != nil {
					return fmt.Errorf("nn: %s: %w", name, err)
				}
			}
			last := int32(-1)
			for k, p := range s.indices[name] {
				if p <= last || int(p) >= a.Places {
					return fmt.Errorf("nn: %s[%d] is %d, want ascending numbers from 0 to %d", name, k, p, a.Places-1)
				}
				last = p
			}
		}
	}
	return nil
}
