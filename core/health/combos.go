package health

import "sync"

// Combos is a table of combo counters.
type Combos struct{ table *table[comboState] }

type comboState struct {
	mu      sync.Mutex
	counter int
	good    string
}

func newCombos() *Combos {
	return &Combos{newTable(func(string) *comboState { return &comboState{} })}
}

// Counter is the index at which round-robin starts next. Rules reduce it modulo
// the size of the combo.
func (c *Combos) Counter(name string) int {
	x := c.table.find(name)
	if x == nil {
		return 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.counter
}

// Served notes which member served: the counter continues behind it, so that a
// member that stands in for a failed one is not asked twice.
func (c *Combos) Served(name string, index int, target string) {
	x := c.table.get(name)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.counter, x.good = index+1, target
}

// LastGood is the target that served last; "" if none did.
func (c *Combos) LastGood(name string) string {
	x := c.table.find(name)
	if x == nil {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.good
}
