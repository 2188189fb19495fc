package telemetry

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Traffic is what goes on right now, kept in memory: requests that run, the last
// lines of the request log as text, the sessions of the last half hour and how
// long requests take. It is safe for concurrent use.
type Traffic struct {
	Timings

	now func() time.Time

	mu       sync.Mutex
	active   map[*Active]struct{}
	lines    []string // ring
	next     int
	file     *lineFile
	sessions map[string]*Session
	swept    time.Time
}

// NewTraffic returns an empty one; now nil = time.Now.
func NewTraffic(now func() time.Time) *Traffic {
	if now == nil {
		now = time.Now
	}
	return &Traffic{now: now, active: map[*Active]struct{}{}, sessions: map[string]*Session{}}
}

// Active is a request that runs. Its owner changes it through the methods.
type Active struct {
	traffic *Traffic
	view    Running
}

// Running describes a request that runs.
type Running struct {
	ID       string    `json:"id"`
	Began    time.Time `json:"began"`
	Endpoint string    `json:"endpoint"`
	Model    string    `json:"model"`
	Provider string    `json:"provider,omitempty"`
	Account  string    `json:"account,omitempty"` // name
	Stream   bool      `json:"stream,omitempty"`
}

// Begin enters a request that starts. Its End must be called, however it ends.
func (t *Traffic) Begin(r Running) *Active {
	a := &Active{traffic: t, view: r}
	t.mu.Lock()
	t.active[a] = struct{}{}
	t.mu.Unlock()
	return a
}

// At tells who serves the request now. Safe on nil.
func (a *Active) At(model, provider, account string) {
	if a == nil {
		return
	}
	t := a.traffic
	t.mu.Lock()
	a.view.Model, a.view.Provider, a.view.Account = model, provider, account
	t.mu.Unlock()
	t.Line(Line{Time: t.now(), Model: model, Provider: provider, Account: account, Status: "PENDING"})
}

// End takes the request out. It may be called more than once, and on nil.
func (a *Active) End() {
	if a == nil {
		return
	}
	a.traffic.mu.Lock()
	delete(a.traffic.active, a)
	a.traffic.mu.Unlock()
}

// Running lists the requests that run, the oldest first.
func (t *Traffic) Running() []Running {
	t.mu.Lock()
	out := make([]Running, 0, len(t.active))
	for a := range t.active {
		out = append(out, a.view)
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Running) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Pending counts the requests that run by "model (provider)" and by account.
func (t *Traffic) Pending() (byModel, byAccount map[string]int) {
	byModel, byAccount = map[string]int{}, map[string]int{}
	for _, r := range t.Running() {
		if r.Provider != "" {
			byModel[r.Model+" ("+r.Provider+")"]++
		}
		if r.Account != "" {
			byAccount[r.Account]++
		}
	}
	return byModel, byAccount
}

// maxLines is how many lines are remembered.
const maxLines = 1000

// Line is one event of the textual request log.
type Line struct {
	Time     time.Time
	Model    string
	Provider string
	Account  string
	In, Out  int64 // tokens
	Status   string
}

// Outcome is the status of a line for an HTTP status.
func Outcome(status int) string {
	if status < 400 {
		return strconv.Itoa(status) + " OK"
	}
	return "FAILED " + strconv.Itoa(status)
}

// String writes "DD-MM-YYYY HH:MM:SS | model | PROVIDER | account | in | out | status".
func (l Line) String() string {
	cell := func(s string) string {
		if s = strings.Map(printable, s); s == "" {
			return "-"
		}
		return s
	}
	in, out := "-", "-"
	if l.Status != "PENDING" {
		in, out = strconv.FormatInt(l.In, 10), strconv.FormatInt(l.Out, 10)
	}
	return strings.Join([]string{l.Time.Format("02-01-2006 15:04:05"), cell(l.Model), cell(strings.ToUpper(l.Provider)), cell(l.Account), in, out, l.Status}, " | ")
}

// printable keeps a name from breaking out of its cell.
func printable(r rune) rune {
	if r < ' ' || r == '|' || r == 0x7f {
		return ' '
	}
	return r
}

// Line adds a line.
func (t *Traffic) Line(l Line) {
	text := l.String()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < maxLines {
		t.lines = append(t.lines, text)
	} else {
		t.lines[t.next] = text
		t.next = (t.next + 1) % maxLines
	}
	if t.file != nil {
		t.file.write(text)
	}
}

// Lines returns the last n lines, newest first; n <= 0 = all that are remembered.
func (t *Traffic) Lines(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n <= 0 || n > len(t.lines) {
		n = len(t.lines)
	}
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, t.lines[(t.next+2*len(t.lines)-1-i)%len(t.lines)])
	}
	return out
}

// File also writes lines to a file, which is rotated; "" = no file. What cannot be
// written is told once per file through warn.
func (t *Traffic) File(path string, maxSize int64, warn func(error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		if t.file.path == path && t.file.maxSize == maxSize {
			return
		}
		t.file.close()
		t.file = nil
	}
	if path != "" {
		t.file = &lineFile{path: path, maxSize: maxSize, warn: warn}
	}
}

// keptFiles is how many rotated files stay beside the present one.
const keptFiles = 3

// lineFile appends lines to a file and rotates it.
type lineFile struct {
	path    string
	maxSize int64
	warn    func(error)
	f       *os.File
	size    int64
	warned  bool
}

func (l *lineFile) write(line string) {
	err := l.open()
	if err == nil {
		var n int
		n, err = io.WriteString(l.f, line+"\n")
		l.size += int64(n)
	}
	if err == nil && l.maxSize > 0 && l.size >= l.maxSize {
		err = l.rotate()
	}
	if err != nil && !l.warned {
		l.warned = true
		l.warn(fmt.Errorf("the request log file: %w", err))
	}
}

func (l *lineFile) open() error {
	if l.f != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil {
		l.size = info.Size()
	}
	l.f = f
	return nil
}

func (l *lineFile) rotate() error {
	l.close()
	for i := keptFiles - 1; i > 0; i-- {
		_ = os.Rename(l.path+"."+strconv.Itoa(i), l.path+"."+strconv.Itoa(i+1)) // there may be none yet
	}
	return os.Rename(l.path, l.path+".1")
}

func (l *lineFile) close() {
	if l.f != nil {
		_ = l.f.Close() // every line was handed over
		l.f, l.size = nil, 0
	}
}

// Session is a conversation as the gateway sees it: requests under one key.
type Session struct {
	ID         string    `json:"sessionId"` // a hash, never what the client sent
	CreatedAt  time.Time `json:"createdAt"`
	LastActive time.Time `json:"lastActive"`
	Requests   int64     `json:"requestCount"`
	Account    string    `json:"connectionId,omitempty"` // that served last
}

const (
	sessionTTL  = 30 * time.Minute
	sweepEvery  = time.Minute
	maxSessions = 100_000
)

// Session notes a request of a session; "" is none.
func (t *Traffic) Session(id, account string) {
	if id == "" {
		return
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[id]
	switch {
	case s == nil && len(t.sessions) >= maxSessions:
		if t.sweep(now); len(t.sessions) >= maxSessions {
			return
		}
		fallthrough
	case s == nil, now.Sub(s.LastActive) > sessionTTL:
		s = &Session{ID: strings.Clone(id), CreatedAt: now}
		t.sessions[s.ID] = s
	}
	s.LastActive = now
	s.Requests++
	if account != "" {
		s.Account = account
	}
	if now.Sub(t.swept) > sweepEvery {
		t.sweep(now)
	}
}

func (t *Traffic) sweep(now time.Time) {
	t.swept = now
	for id, s := range t.sessions {
		if now.Sub(s.LastActive) > sessionTTL {
			delete(t.sessions, id)
		}
	}
}

// Sessions lists those of the last half hour, the last active first.
func (t *Traffic) Sessions() []Session {
	now := t.now()
	t.mu.Lock()
	out := make([]Session, 0, len(t.sessions))
	for _, s := range t.sessions {
		if now.Sub(s.LastActive) <= sessionTTL {
			out = append(out, *s)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Session) int { return cmp.Or(b.LastActive.Compare(a.LastActive), cmp.Compare(a.ID, b.ID)) })
	return out
}
