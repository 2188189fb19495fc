package boot

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
)

// capturesDir is where the stages of requests are kept, below the data directory.
const capturesDir = "captures"

// openRecords makes what a gateway remembers of its traffic beside the ledger.
func (g *Gateway) openRecords() {
	g.traffic = telemetry.NewTraffic(nil)
	g.captures = capture.Open(g.dir.Path(capturesDir), captureOptions(g.config().File.Logging.Requests, g.recordFailed))
	g.onClose(func(context.Context) error {
		g.captures.Close()
		g.traffic.File("", 0, nil)
		return nil
	})
	g.metrics.registry.Registry().MustRegister(storeMetrics{g.system})
}

func (g *Gateway) recordFailed(err error) {
	g.log.LogAttrs(context.Background(), slog.LevelWarn, "a record was not kept", slog.Any("error", err))
}

func captureOptions(r config.RequestLogging, warn func(error)) capture.Options {
	return capture.Options{MaxAge: r.StagesRetention, MaxBytes: int64(r.StagesMaxSize), Warn: warn}
}

// bounds are those of the request log.
func bounds(r config.RequestLogging) ledger.Bounds {
	return ledger.Bounds{Retention: r.Retention, MaxBytes: int64(r.MaxSize), MaxRows: r.MaxRows}
}

// configureRecords applies the keys of logging.
func (g *Gateway) configureRecords(l config.Logging) {
	g.ledger.Configure(bounds(l.Requests))
	g.captures.Configure(captureOptions(l.Requests, g.recordFailed))
	g.traffic.File(l.Requests.File, int64(l.Requests.FileMaxSize), g.recordFailed)
}

// rotateEvery is how often records beyond their age are removed.
const rotateEvery = time.Hour

// rotate keeps the logs within their bounds until ctx ends.
func (g *Gateway) rotate(ctx context.Context) {
	tick := time.NewTicker(rotateEvery)
	defer tick.Stop()
	for {
		if err := g.tidyRecords(ctx); err != nil && ctx.Err() == nil {
			g.recordFailed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *Gateway) tidyRecords(ctx context.Context) error {
	if err := g.captures.Tidy(); err != nil {
		return fmt.Errorf("captures: %w", err)
	}
	if _, err := g.ledger.Prune(ctx); err != nil {
		return err
	}
	if keep := g.config().File.Logging.Audit.Retention; keep > 0 {
		_, err := g.audit.Prune(ctx, keep)
		return err
	}
	return nil
}

// audited records the start or stop of the gateway.
func (g *Gateway) audited(ctx context.Context, action audit.Action, details map[string]any) {
	g.audit.Write(ctx, audit.Record{Action: action, Target: audit.Target{Type: "gateway", ID: g.config().File.Server.InstanceName}, Details: details, Result: "ok"})
}

// storeMetrics report on the store and the ledger when they are asked.
type storeMetrics struct{ s *system }

var (
	stateBytes   = prometheus.NewDesc("omniroute_state_bytes", "Bytes of the store on disk, by part.", []string{"part"}, nil)
	stateFree    = prometheus.NewDesc("omniroute_state_disk_free_bytes", "Bytes left where the data lies.", nil, nil)
	stateGC      = prometheus.NewDesc("omniroute_state_gc_total", "Runs of the value log's garbage collection, by result.", []string{"result"}, nil)
	stateRefused = prometheus.NewDesc("omniroute_state_refused_writes_total", "Writes refused because the disk is nearly full.", nil, nil)
	ledgerRows   = prometheus.NewDesc("omniroute_request_log_rows", "Rows of the request log.", nil, nil)
	ledgerBytes  = prometheus.NewDesc("omniroute_request_log_bytes", "Bytes of the request log.", nil, nil)
	ledgerQueue  = prometheus.NewDesc("omniroute_ledger_queue", "Settled requests that are not yet in the store.", nil, nil)
	ledgerHeld   = prometheus.NewDesc("omniroute_ledger_reservations", "Budget reservations that are open.", nil, nil)
	ledgerScopes = prometheus.NewDesc("omniroute_ledger_scopes", "Scopes with counters in memory.", nil, nil)
)

// Describe implements prometheus.Collector.
func (storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{stateBytes, stateFree, stateGC, stateRefused, ledgerRows, ledgerBytes, ledgerQueue, ledgerHeld, ledgerScopes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m storeMetrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	if store, ok := m.s.store.(state.Maintainer); ok {
		st := store.Stats()
		send(stateBytes, prometheus.GaugeValue, st.Keys, "tables")
		send(stateBytes, prometheus.GaugeValue, st.Values, "value_log")
		send(stateFree, prometheus.GaugeValue, st.Free)
		send(stateGC, prometheus.CounterValue, st.GCRuns, "freed")
		send(stateGC, prometheus.CounterValue, st.GCFailed, "failed")
		send(stateRefused, prometheus.CounterValue, st.Refused)
	}
	st := m.s.ledger.Stats()
	send(ledgerRows, prometheus.GaugeValue, st.Rows)
	send(ledgerBytes, prometheus.GaugeValue, st.Bytes)
	send(ledgerQueue, prometheus.GaugeValue, int64(st.Queued))
	send(ledgerHeld, prometheus.GaugeValue, int64(st.Reservations))
	send(ledgerScopes, prometheus.GaugeValue, st.Scopes)
}
