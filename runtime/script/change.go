package script

// Changes is how one set differs from another, in files.
type Changes struct{ Added, Changed, Removed []string }

// None reports whether both sets do the same.
func (c Changes) None() bool { return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 }

// ChangesSince compares the set with an earlier one. A script counts as changed
// too if something has that it imports.
func (s *Set) ChangesSince(earlier *Set) (c Changes) {
	before := make(map[string]*module, len(earlier.modules))
	for _, m := range earlier.modules {
		before[m.file] = m
	}
	for _, m := range s.modules {
		switch old := before[m.file]; {
		case old == nil:
			c.Added = append(c.Added, m.file)
		case old.sum != m.sum:
			c.Changed = append(c.Changed, m.file)
		}
		delete(before, m.file)
	}
	for _, m := range earlier.modules { // in path order
		if before[m.file] != nil {
			c.Removed = append(c.Removed, m.file)
		}
	}
	return c
}

// Folders are those of all files that the set was made of: of the scripts and of
// what they import.
func (s *Set) Folders() []string { return s.folders }
