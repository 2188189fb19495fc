package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// LogOptions configures NewLogger.
type LogOptions struct {
	Level  string // debug, info, warn, error; "" = info
	Format string // text, json; "" = text
}

// NewLogger returns a logger that writes redacted records to w, and the level
// variable by which its level can be changed while it runs.
func NewLogger(w io.Writer, opt LogOptions) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	if opt.Level != "" {
		l, err := ParseLevel(opt.Level)
		if err != nil {
			return nil, nil, err
		}
		level.Set(l)
	}
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch opt.Format {
	case "", "text":
		h = slog.NewTextHandler(w, options)
	case "json":
		h = slog.NewJSONHandler(w, options)
	default:
		return nil, nil, fmt.Errorf("log format %q is not known; use text or json", opt.Format)
	}
	return slog.New(Redacted(h)), level, nil
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q is not known; use debug, info, warn or error", name)
}

// Discard returns a logger that writes nothing.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Redacted returns a handler that passes records on to next without secrets:
// neither under names that carry them nor inside texts.
func Redacted(next slog.Handler) slog.Handler { return &redactor{next: next} }

type redactor struct {
	next   slog.Handler
	hidden bool // an open group carries secrets: nothing in it is shown
}

// Enabled implements slog.Handler.
func (r *redactor) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (r *redactor) Handle(ctx context.Context, rec slog.Record) error {
	clean := slog.NewRecord(rec.Time, rec.Level, Redact(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(r.attr(a))
		return true
	})
	return r.next.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (r *redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = r.attr(a)
	}
	return &redactor{next: r.next.WithAttrs(clean), hidden: r.hidden}
}

// WithGroup implements slog.Handler.
func (r *redactor) WithGroup(name string) slog.Handler {
	return &redactor{next: r.next.WithGroup(name), hidden: r.hidden || SensitiveName(name)}
}

func (r *redactor) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if r.hidden || SensitiveName(a.Key) {
		if a.Value.Kind() == slog.KindString && a.Value.String() == "" {
			return a
		}
		return slog.String(a.Key, mask)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Redact(a.Value.String()))
	case slog.KindGroup:
		group := a.Value.Group()
		clean := make([]slog.Attr, len(group))
		for i, m := range group {
			clean[i] = r.attr(m)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: redactAny(a.Value.Any())}
	}
	return a
}

// redactAny renders a value of a type that slog does not know. What it would
// print is not known before, so it is printed here and read.
func redactAny(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(Redact(v.Error()))
	case fmt.Stringer:
		return slog.StringValue(Redact(v.String()))
	case []byte:
		return slog.StringValue(Redact(string(v)))
	case []string:
		clean := make([]string, len(v))
		for i, s := range v {
			clean[i] = Redact(s)
		}
		return slog.AnyValue(clean)
	case map[string]string:
		clean := make(map[string]string, len(v))
		for k, s := range v {
			clean[k] = RedactField(k, s)
		}
		return slog.AnyValue(clean)
	case http.Header:
		return redactLists(v)
	}
	return slog.StringValue(Redact(fmt.Sprintf("%+v", v)))
}

func redactLists(lists http.Header) slog.Value {
	clean := make(http.Header, len(lists))
	for k, list := range lists {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = RedactField(k, s)
		}
		clean[k] = out
	}
	return slog.AnyValue(clean)
}
