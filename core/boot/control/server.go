package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
)

// maxRequest bounds what a command may send.
const maxRequest = 1 << 20

// Server serves a desk on a socket.
type Server struct {
	http *http.Server
	path string
	done chan struct{}
}

// Serve starts to serve desk at path. A socket left behind by a process that died is replaced: whoever calls
// Serve holds the lock of the data directory, so no other server can be alive behind it.
func Serve(path string, desk Desk) (*Server, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	s := &Server{
		http: &http.Server{Handler: Handler(desk), ReadHeaderTimeout: 10 * time.Second},
		path: path,
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(ln) // always http.ErrServerClosed, by Close
	}()
	return s, nil
}

// Close lets running commands finish until ctx ends and removes the socket.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

// Handler is the protocol over a desk.
func Handler(desk Desk) http.Handler {
	mux := http.NewServeMux()
	handle(mux, "GET /status", func(r *http.Request) (any, error) { return desk.Status(r.Context()) })
	handle(mux, "POST /reload", func(r *http.Request) (any, error) { return desk.Reload(r.Context()) })
	handle(mux, "GET /keys", func(r *http.Request) (any, error) { return desk.Keys(r.Context()) })
	handle(mux, "POST /keys", func(r *http.Request) (any, error) {
		var want account.Key
		if err := decode(r, &want); err != nil {
			return nil, err
		}
		return desk.CreateKey(r.Context(), want)
	})
	handle(mux, "DELETE /keys/{id}", func(r *http.Request) (any, error) {
		return nil, desk.RevokeKey(r.Context(), r.PathValue("id"))
	})
	handle(mux, "PUT /password", func(r *http.Request) (any, error) {
		var password string
		if err := decode(r, &password); err != nil {
			return nil, err
		}
		return nil, desk.ResetPassword(r.Context(), password)
	})
	handle(mux, "GET /providers", func(r *http.Request) (any, error) {
		return desk.Providers(r.Context(), r.FormValue("all") == "true")
	})
	handle(mux, "GET /accounts", func(r *http.Request) (any, error) {
		return desk.Accounts(r.Context(), r.FormValue("provider"))
	})
	handle(mux, "POST /accounts", func(r *http.Request) (any, error) {
		var want NewAccount
		if err := decode(r, &want); err != nil {
			return nil, err
		}
		return desk.AddAccount(r.Context(), want)
	})
	handle(mux, "DELETE /accounts/{id}", func(r *http.Request) (any, error) {
		return nil, desk.RemoveAccount(r.Context(), r.PathValue("id"))
	})
	handle(mux, "POST /accounts/{id}/test", func(r *http.Request) (any, error) {
		return desk.TestAccount(r.Context(), r.PathValue("id"))
	})
	handle(mux, "GET /models", func(r *http.Request) (any, error) {
		return desk.Models(r.Context(), r.FormValue("provider"), r.FormValue("live") == "true")
	})
	handle(mux, "GET /requests", func(r *http.Request) (any, error) {
		f, err := filterOf(r)
		if err != nil {
			return nil, err
		}
		return desk.Requests(r.Context(), f)
	})
	handle(mux, "GET /requests/{id}", func(r *http.Request) (any, error) {
		return desk.Request(r.Context(), r.PathValue("id"))
	})
	handle(mux, "POST /candidates", func(r *http.Request) (any, error) {
		var q Question
		if err := decode(r, &q); err != nil {
			return nil, err
		}
		return desk.Candidates(r.Context(), q)
	})
	logins(mux, desk)
	maintenance(mux, desk)
	recording(mux, desk)
	pluginRoutes(mux, desk)
	return mux
}

func handle(mux *http.ServeMux, pattern string, f func(*http.Request) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			e := fault.From(err)
			w.WriteHeader(e.Status)
			v = failure{Code: e.Code, Status: e.Status, Message: e.Message}
			if e.Code == fault.Internal { // the operator is the one who asks
				v = failure{Code: e.Code, Status: e.Status, Message: err.Error()}
			}
		}
		_ = json.NewEncoder(w).Encode(v) // the command left: nobody to tell
	})
}

// failure is an error on the wire.
type failure struct {
	Code    fault.Code `json:"code"`
	Status  int        `json:"status"`
	Message string     `json:"message"`
}

func decode(r *http.Request, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fault.Wrap(fault.InvalidBody, err, "the request is not what was expected: "+err.Error())
	}
	return nil
}

func filterOf(r *http.Request) (f ledger.Filter, err error) {
	f = ledger.Filter{
		Status: r.FormValue("status"), Model: r.FormValue("model"), Provider: r.FormValue("provider"),
		Account: r.FormValue("account"), Key: r.FormValue("key"), Combo: r.FormValue("combo") == "true",
		Search: r.FormValue("search"), Cursor: r.FormValue("cursor"),
	}
	if s := r.FormValue("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil {
			return f, fault.Wrap(fault.InvalidBody, err, "limit is not a number")
		}
	}
	for name, t := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if s := r.FormValue(name); s != "" {
			if *t, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return f, fault.Wrap(fault.InvalidBody, err, name+" is not a time")
			}
		}
	}
	return f, nil
}
