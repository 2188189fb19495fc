package fake

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// service is an HTTP server on a loopback listener, without what only tests have.
type service struct {
	URL  string
	http *http.Server
	runs sync.WaitGroup
}

// serve answers with h on addr; "" is a free port of 127.0.0.1. It panics when the
// address cannot be listened on: there is no way to go on without.
func serve(addr string, h http.Handler) *service {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		panic(err)
	}
	s := &service{URL: "http://" + l.Addr().String()}
	s.http = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runs.Add(1)
		defer s.runs.Done()
		h.ServeHTTP(w, r)
	})}
	go func() { _ = s.http.Serve(l) }()
	return s
}

// Close breaks all connections and returns when their handlers have.
func (s *service) Close() {
	_ = s.http.Close()
	s.runs.Wait()
}
