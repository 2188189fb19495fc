package capture

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/telemetry"
)

// Mode says which requests are kept.
type Mode string

// The modes, in the words of log rules.
const (
	None   Mode = "none"
	Errors Mode = "errors" // those that failed
	All    Mode = "all"
)

// Stage is one of the seven.
type Stage uint8

// The stages.
const (
	Client   Stage = 1 + iota // request of the client
	Source                    // … as rules changed it
	Hub                       // … in the hub form
	Target                    // … as sent to the provider
	Provider                  // its answer
	Failure                   // what went wrong
	Answer                    // what the client got
	stages
)

var names = [stages]string{Client: "1_req_client", Source: "2_req_source", Hub: "3_req_openai", Target: "4_req_target",
	Provider: "5_res_provider", Failure: "6_error", Answer: "7_res_client"}

// Options bound a Store; zero fields take the defaults.
type Options struct {
	MaxAge   time.Duration // of folders; 0 = 3 days
	MaxBytes int64         // of all folders; 0 = 1 GiB
	MaxFile  int           // bytes; 0 = 10 MiB
	Now      func() time.Time
	Warn     func(error) // nil drops
}

// Store writes folders below one directory. Close it.
type Store struct {
	dir   string
	queue chan *Recorder
	done  chan struct{}

	mu     sync.Mutex
	opt    Options
	closed bool
}

// queued is how many finished requests may wait to be written; further ones are
// dropped.
const queued = 64

// Open returns a store; the directory is made when there is something to write.
func Open(dir string, opt Options) *Store {
	s := &Store{dir: dir, queue: make(chan *Recorder, queued), done: make(chan struct{})}
	s.Configure(opt)
	go s.run()
	return s
}

// Configure changes the bounds.
func (s *Store) Configure(opt Options) {
	if opt.MaxAge <= 0 {
		opt.MaxAge = 3 * 24 * time.Hour
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 1 << 30
	}
	if opt.MaxFile <= 0 {
		opt.MaxFile = 10 << 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Warn == nil {
		opt.Warn = func(error) {}
	}
	s.mu.Lock()
	s.opt = opt
	s.mu.Unlock()
}

func (s *Store) options() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt
}

// Meta names a request.
type Meta struct {
	ID     string
	Source string // dialect of the client
	Model  string // as asked for
}

// Begin starts to record a request; nil for the mode None.
func (s *Store) Begin(m Meta, mode Mode) *Recorder {
	if s == nil || mode != Errors && mode != All {
		return nil
	}
	opt := s.options()
	return &Recorder{store: s, opt: opt, meta: m, mode: mode, began: opt.Now()}
}

// Close writes what waits.
func (s *Store) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.queue)
	s.mu.Unlock()
	<-s.done
}

// tidyEvery is how many folders are written between two looks at the bounds.
const tidyEvery = 16

func (s *Store) run() {
	defer close(s.done)
	for n := 0; ; n++ {
		r, ok := <-s.queue
		if !ok {
			return
		}
		if err := r.write(s.dir); err != nil {
			r.opt.Warn(fmt.Errorf("capture: %w", err))
		}
		if n%tidyEvery == 0 {
			if err := s.Tidy(); err != nil {
				r.opt.Warn(fmt.Errorf("capture: %w", err))
			}
		}
	}
}

// Tidy removes folders beyond the bounds, the oldest first.
func (s *Store) Tidy() error {
	opt := s.options()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	type folder struct {
		path string
		at   time.Time
		size int64
	}
	var all []folder
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue
		}
		f := folder{path: filepath.Join(s.dir, e.Name()), at: info.ModTime()}
		files, _ := os.ReadDir(f.path)
		for _, x := range files {
			if i, err := x.Info(); err == nil {
				f.size += i.Size()
			}
		}
		total += f.size
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b folder) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for _, f := range all {
		if total <= opt.MaxBytes && opt.Now().Sub(f.at) <= opt.MaxAge {
			break
		}
		if err := os.RemoveAll(f.path); err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}

// Recorder collects the stages of one request. It belongs to one goroutine at a
// time.
type Recorder struct {
	store  *Store
	opt    Options
	meta   Meta
	mode   Mode
	began  time.Time
	target string // dialect of the provider
	parts  [stages]part
}

// part is the content of one file.
type part struct {
	text    []byte
	json    bool
	cut     bool
	started bool
}

// Header is a header field.
type Header struct{ Name, Value string }

// document is the form of the JSON files.
type document struct {
	Timestamp time.Time         `json:"timestamp"`
	URL       string            `json:"url,omitempty"`
	Status    int               `json:"status,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Error     string            `json:"error,omitempty"`
	Body      json.RawMessage   `json:"body,omitempty"`
}

// Translated names the dialect of the provider, for the name of the folder.
func (r *Recorder) Translated(target string) {
	if r != nil {
		r.target = target
	}
}

// Request records a request at a stage; of several attempts the last stays.
func (r *Recorder) Request(s Stage, url string, headers []Header, body []byte) {
	if r != nil {
		r.put(s, document{URL: telemetry.Redact(url), Headers: masked(headers), Body: r.body(body)})
	}
}

// Response records a whole answer.
func (r *Recorder) Response(s Stage, status int, headers []Header, body []byte) {
	if r != nil {
		r.put(s, document{Status: status, Headers: masked(headers), Body: r.body(body)})
	}
}

// Fail records why there is no good answer.
func (r *Recorder) Fail(text string, request []byte) {
	if r != nil {
		r.put(Failure, document{Error: telemetry.Redact(text), Body: r.body(request)})
	}
}

// Chunk appends to a streamed answer.
func (r *Recorder) Chunk(s Stage, data []byte) {
	if r == nil {
		return
	}
	p := &r.parts[s]
	if p.json {
		*p = part{} // a stream after the refusal of an earlier attempt
	}
	p.started = true
	room := r.opt.MaxFile - len(p.text)
	if len(data) > room {
		data, p.cut = data[:max(room, 0)], true
	}
	p.text = append(p.text, data...)
}

func (r *Recorder) put(s Stage, d document) {
	d.Timestamp = r.opt.Now().UTC()
	raw, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return
	}
	r.parts[s] = part{text: raw, json: true, started: true}
}

// body is a body as a JSON value: itself if it is JSON, else as a string.
func (r *Recorder) body(raw []byte) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	cut := len(raw) > r.opt.MaxFile
	if cut {
		raw = raw[:r.opt.MaxFile]
	}
	clean := []byte(telemetry.Redact(string(raw)))
	if !cut && json.Valid(clean) {
		return clean
	}
	text := string(clean)
	if cut {
		text += truncated
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return quoted
}

const truncated = "...truncated"

// sensitive are parts of header names whose values are masked, beside those that
// every log masks.
var sensitive = [...]string{"authorization", "api-key", "apikey", "cookie", "token", "secret"}

// masked hides the values that may carry credentials: of a long one the last four
// characters stay.
func masked(headers []Header) map[string]string {
	out := make(map[string]string, len(headers))
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		hide := telemetry.SensitiveName(name)
		for _, part := range sensitive {
			hide = hide || strings.Contains(name, part)
		}
		switch {
		case !hide:
			out[name] = telemetry.Redact(h.Value)
		case len(h.Value) >= 24:
			out[name] = "***" + h.Value[len(h.Value)-4:]
		default:
			out[name] = "***"
		}
	}
	return out
}

// End hands the recording over to be written, unless only failures are kept and
// this is none.
func (r *Recorder) End(failed bool) {
	if r == nil || r.mode == Errors && !failed {
		return
	}
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.queue <- r:
	default:
		r.opt.Warn(fmt.Errorf("capture: request %s was not kept: %d wait to be written", r.meta.ID, queued))
	}
}

func (r *Recorder) write(dir string) error {
	path := filepath.Join(dir, r.folder())
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for s := Client; s < stages; s++ {
		p := &r.parts[s]
		if !p.started {
			continue
		}
		name := names[s] + ".txt"
		if p.json {
			name = names[s] + ".json"
		} else {
			p.text = []byte(telemetry.Redact(string(p.text)))
		}
		if p.cut {
			p.text = append(p.text, truncated...)
		}
		if err := os.WriteFile(filepath.Join(path, name), p.text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// folder is "<source>_<target>_<model>_<YYYYMMDD_HHMMSS>_<start of the id>".
func (r *Recorder) folder() string {
	id := strings.ReplaceAll(r.meta.ID, "-", "")
	if len(id) > 8 {
		id = id[len(id)-8:] // the end of a time-ordered id is what differs
	}
	parts := []string{r.meta.Source, cmp.Or(r.target, "none"), r.meta.Model, r.began.Format("20060102_150405"), id}
	for i, p := range parts {
		parts[i] = safe(p)
	}
	return strings.Join(parts, "_")
}

// safe makes a name fit a file system.
func safe(s string) string {
	out := []byte(s)
	if len(out) > 80 {
		out = out[:80]
	}
	for i, c := range out {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' && i > 0 || c == '_' {
			continue
		}
		out[i] = '-'
	}
	if len(out) == 0 {
		return "none"
	}
	return string(bytes.TrimRight(out, "."))
}

// Folders lists what is kept, newest first.
func (s *Store) Folders() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(modified(b), modified(a)) })
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, err
}

func modified(e os.DirEntry) int64 {
	info, err := e.Info()
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}

// String names a stage as its file does.
func (s Stage) String() string {
	if s < stages {
		return names[s]
	}
	return strconv.Itoa(int(s))
}
