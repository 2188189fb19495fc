package control

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/backup"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
)

// Maintenance is what looks after the data.
type Maintenance interface {
	// Backup writes a backup to a file of the machine the gateway runs on.
	Backup(ctx context.Context, want BackupRequest) (BackupReport, error)
	// Doctor looks for what is wrong; deep reads all data.
	Doctor(ctx context.Context, deep bool) (Diagnosis, error)
	// Compact frees space.
	Compact(ctx context.Context) (CompactReport, error)
	// Export lists keys, accounts and catalogue entries; credentials only if
	// secrets is set.
	Export(ctx context.Context, secrets bool) (Export, error)
	// Import takes what Export gave. No gateway may be running.
	Import(ctx context.Context, want ImportRequest) (ImportReport, error)
}

// BackupRequest asks for a backup.
type BackupRequest struct {
	Path       string `json:"path,omitempty"`       // absolute; "" = a new file below backups/
	Passphrase string `json:"passphrase,omitempty"` // "" = sealed with the storage key
	NoLogs     bool   `json:"no_logs,omitempty"`    // leave the request log out
}

// BackupReport tells what was written.
type BackupReport struct {
	Path     string          `json:"path"`
	Bytes    int64           `json:"bytes"`
	Manifest backup.Manifest `json:"manifest"`
}

// RestoreReport tells what was, or would be, restored.
type RestoreReport struct {
	Manifest backup.Manifest `json:"manifest"`
	DryRun   bool            `json:"dry_run,omitempty"`
	Entries  int64           `json:"entries"`          // written; expired ones are left out
	Before   string          `json:"before,omitempty"` // where the data lies that was replaced
	Files    []string        `json:"files,omitempty"`  // of the backup, to be put in place by hand
	FilesDir string          `json:"files_dir,omitempty"`
}

// Levels of a finding.
const (
	LevelOK   = "ok"
	LevelWarn = "warn"
	LevelFail = "fail"
)

// Finding is the result of one check.
type Finding struct {
	Check string `json:"check"`
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Diagnosis is what the doctor found.
type Diagnosis struct {
	Running  bool           `json:"running"`
	DataDir  string         `json:"data_dir"`
	Findings []Finding      `json:"findings"`
	Store    *state.Stats   `json:"store,omitempty"`
	Ledger   *ledger.Stats  `json:"ledger,omitempty"`
	Log      *ledger.Report `json:"log,omitempty"` // of a deep check
}

// Healthy reports that nothing failed.
func (d Diagnosis) Healthy() bool {
	for _, f := range d.Findings {
		if f.Level == LevelFail {
			return false
		}
	}
	return true
}

// CompactReport tells sizes in bytes.
type CompactReport struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// RepairReport tells what a repair did.
type RepairReport struct {
	Salvaged state.Salvaged `json:"salvaged"`
	Log      ledger.Report  `json:"log"`
}

// ExportFormat names the form of an Export.
const ExportFormat = "omniroute-export-v1"

// Export is what was made by command or API: keys, accounts and catalogue entries.
type Export struct {
	Format  string        `json:"format"`
	Created time.Time     `json:"created"`
	Version string        `json:"version"`
	Secrets bool          `json:"secrets"`
	Entries []ExportEntry `json:"entries"`
}

// ExportEntry is one of them. Data is JSON, or YAML in a string.
type ExportEntry struct {
	Kind string          `json:"kind"`
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

// ImportRequest asks to take an export.
type ImportRequest struct {
	Export    Export `json:"export"`
	Apply     bool   `json:"apply,omitempty"`     // false only tells what would happen
	Overwrite bool   `json:"overwrite,omitempty"` // replace what is there and differs
}

// ImportReport tells what happened to each entry, as "kind/id".
type ImportReport struct {
	Applied   bool     `json:"applied"`
	Create    []string `json:"create"`
	Update    []string `json:"update"`
	Same      []string `json:"same"`
	Conflicts []string `json:"conflicts"` // there already and different; see Overwrite
	Skipped   []string `json:"skipped"`   // exported without what makes them work
}

// maintenance adds the routes of Maintenance to the protocol.
func maintenance(mux *http.ServeMux, desk Maintenance) {
	handle(mux, "POST /backup", func(r *http.Request) (any, error) {
		var want BackupRequest
		if err := decode(r, &want); err != nil {
			return nil, err
		}
		return desk.Backup(r.Context(), want)
	})
	handle(mux, "GET /doctor", func(r *http.Request) (any, error) {
		return desk.Doctor(r.Context(), r.FormValue("deep") == "true")
	})
	handle(mux, "POST /compact", func(r *http.Request) (any, error) { return desk.Compact(r.Context()) })
	handle(mux, "GET /export", func(r *http.Request) (any, error) {
		return desk.Export(r.Context(), r.FormValue("secrets") == "true")
	})
	handle(mux, "POST /import", func(r *http.Request) (any, error) {
		var want ImportRequest
		if err := decode(r, &want); err != nil {
			return nil, err
		}
		return desk.Import(r.Context(), want)
	})
}

// Backup implements Maintenance.
func (c *Client) Backup(ctx context.Context, want BackupRequest) (BackupReport, error) {
	return get[BackupReport](ctx, c, "POST", "/backup", want)
}

// Doctor implements Maintenance.
func (c *Client) Doctor(ctx context.Context, deep bool) (Diagnosis, error) {
	return get[Diagnosis](ctx, c, "GET", "/doctor?"+url.Values{"deep": {strconv.FormatBool(deep)}}.Encode(), nil)
}

// Compact implements Maintenance.
func (c *Client) Compact(ctx context.Context) (CompactReport, error) {
	return get[CompactReport](ctx, c, "POST", "/compact", nil)
}

// Export implements Maintenance.
func (c *Client) Export(ctx context.Context, secrets bool) (Export, error) {
	return get[Export](ctx, c, "GET", "/export?"+url.Values{"secrets": {strconv.FormatBool(secrets)}}.Encode(), nil)
}

// Import implements Maintenance.
func (c *Client) Import(ctx context.Context, want ImportRequest) (ImportReport, error) {
	return get[ImportReport](ctx, c, "POST", "/import", want)
}
