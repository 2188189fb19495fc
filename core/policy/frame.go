package policy

import (
	"reflect"
	"time"

	"github.com/expr-lang/expr/vm"
)

// slot numbers the variables of the environments; a frame holds the struct
// behind each, ready to read fields from.
type slot int

const (
	slotReq slot = iota
	slotClock
	slotSys
	slotCfg
	slotKey
	slotGuard
	slotLock
	slotEvent
	slotBudget
	slotCombo
	slotTarget
	slotAttempt
	slotProfile
	slotAccount
	slotHdr
	slotBreaker
	slotErr
	slotUsage
	slotCount
)

// slotNames are the variables in the order of the slots.
func slotNames() []string {
	return []string{
		"req", "clock", "sys", "cfg", "key", "guard", "lock", "event", "budget", "combo",
		"target", "attempt", "profile", "account", "hdr", "breaker", "err", "usage",
	}
}

// frame is what one hook call evaluates its expressions with. Frames are pooled
// by the Set and belong to one goroutine at a time.
type frame struct {
	set   *Set
	hook  hookID
	began time.Time

	env  any    // pointer to the hook's environment, for the VM
	base *IPEnv // its root

	slots    [slotCount]reflect.Value
	targets  []*Target
	accounts []*Account
	account  *Account

	// Elements of the running predicates of native code, by depth.
	elemText [maxDepth]string
	elem     [maxDepth]reflect.Value
	counts   [maxDepth]int
	best     [maxDepth]float64

	vm   vm.VM
	cost int

	// Scratch space of ranking hooks.
	ranks   []ranked
	keys    []float64
	index   []int
	dropped []bool
}

func (f *frame) effortTokens(level string) int {
	if n, ok := f.set.efforts[level]; ok {
		return n
	}
	return f.set.efforts["medium"]
}

func structOf[T any](p *T) reflect.Value { return reflect.ValueOf(p).Elem() }

// bindRoot fills what every environment has. Nil facts read as unknown ones.
func (f *frame) bindRoot(e *IPEnv) {
	f.base = e
	e.run = f
	if e.Req == nil {
		e.Req = f.set.unknown.req
	}
	if e.Clock == nil {
		e.Clock = f.set.unknown.clock
	}
	if e.Sys == nil {
		e.Sys = f.set.unknown.sys
	}
	if e.Cfg == nil {
		e.Cfg = f.set.unknown.cfg
	}
	f.slots[slotReq] = structOf(e.Req)
	f.slots[slotClock] = structOf(e.Clock)
	f.slots[slotSys] = structOf(e.Sys)
	f.slots[slotCfg] = structOf(e.Cfg)
}

func (f *frame) bindGate(e *GateEnv) {
	f.bindRoot(&e.IPEnv)
	if e.Key == nil {
		e.Key = f.set.unknown.key
	}
	if e.Guard == nil {
		e.Guard = f.set.unknown.guard
	}
	f.slots[slotKey] = structOf(e.Key)
	f.slots[slotGuard] = structOf(e.Guard)
}

func (f *frame) bindTarget(e *TargetEnv) {
	f.bindGate(&e.GateEnv)
	u := &f.set.unknown
	if e.Combo == nil {
		e.Combo = u.combo
	}
	if e.Target == nil {
		e.Target = u.target
	}
	if e.Attempt == nil {
		e.Attempt = u.attempt
	}
	if e.Profile == nil {
		e.Profile = u.profile
	}
	f.slots[slotCombo] = structOf(e.Combo)
	f.slots[slotTarget] = structOf(e.Target)
	f.slots[slotAttempt] = structOf(e.Attempt)
	f.slots[slotProfile] = structOf(e.Profile)
	f.targets = e.Targets
}

func (f *frame) bindAccount(e *AccountEnv) {
	f.bindTarget(&e.TargetEnv)
	if e.Account == nil {
		e.Account = f.set.unknown.account
	}
	f.setAccount(e, e.Account)
	f.accounts = e.Accounts
}

func (f *frame) setTarget(e *TargetEnv, t *Target) {
	e.Target = t
	f.slots[slotTarget] = structOf(t)
}

func (f *frame) setTargets(e *TargetEnv, ts []*Target) {
	e.Targets, f.targets = ts, ts
}

func (f *frame) setAccount(e *AccountEnv, a *Account) {
	e.Account, f.account = a, a
	f.slots[slotAccount] = structOf(a)
}

func (f *frame) setAccounts(e *AccountEnv, as []*Account) {
	e.Accounts, f.accounts = as, as
}

// unknownFacts stand in for facts a caller does not have. They are shared and
// never written to.
type unknownFacts struct {
	req     *Req
	clock   *Clock
	sys     *Sys
	cfg     *Cfg
	key     *Key
	guard   *Guard
	lock    *Lock
	event   *Event
	combo   *Combo
	target  *Target
	attempt *Attempt
	profile *Profile
	account *Account
	hdr     *RateHeaders
	breaker *BreakerState
	err     *Err
	usage   *Usage
}

func newUnknownFacts() unknownFacts {
	return unknownFacts{
		req: NewReq(), clock: &Clock{}, sys: &Sys{}, cfg: NewCfg(), key: NewKey(), guard: &Guard{},
		lock: &Lock{}, event: &Event{}, combo: &Combo{Size: 1}, target: NewTarget(), attempt: &Attempt{N: 1},
		profile: NewProfile("apikey"), account: NewAccount(), hdr: NewRateHeaders(200),
		breaker: &BreakerState{State: "closed"}, err: NewErr(0), usage: &Usage{},
	}
}

// acquire takes a frame from the pool, for one question to a hook.
func (s *Set) acquire(env any, h hookID) *frame {
	f, _ := s.frames.Get().(*frame)
	if f == nil {
		f = &frame{set: s}
		f.vm.MemoryBudget = costBudget
	}
	f.env, f.hook = env, h
	if h != noHook {
		f.began = time.Now()
	}
	return f
}

// release returns a frame without any reference to the request.
func (s *Set) release(f *frame) {
	if f.hook != noHook {
		s.times[f.hook].observe(time.Since(f.began))
	}
	f.base.run = nil
	f.env, f.base, f.targets, f.accounts, f.account = nil, nil, nil, nil, nil
	clear(f.slots[:])
	clear(f.elem[:])
	clear(f.elemText[:])
	clear(f.vm.Stack[:cap(f.vm.Stack)])
	clear(f.vm.Variables)
	s.frames.Put(f)
}
