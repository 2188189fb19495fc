package oauth

import (
	"context"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// receive serves the redirect of a login (RFC 8252, section 7.3) until the login
// ends. Requests for other paths or with another state are refused and change
// nothing.
func (s *Service) receive(l *login, ln net.Listener) {
	ctx, cancel := context.WithDeadline(s.ctx, time.Now().Add(loginLife))
	l.cancel = cancel
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.come(l, w, r)
	})}
	s.work.Go(func() { _ = server.Serve(ln) }) // always http.ErrServerClosed
	s.work.Go(func() {
		<-ctx.Done()
		s.lapse(l, &Error{Code: codeExpired, Text: "the login took too long; start another"}) // nothing if it has ended
		stopping, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(stopping) != nil { // the page of the browser that came back goes out first
			_ = server.Close()
		}
	})
}

// come answers the browser that came back.
func (s *Service) come(l *login, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("Connection", "close")
	l.mu.Lock()
	redirect, pending := l.view.RedirectURI, l.view.Phase == Pending
	l.mu.Unlock()
	want, err := url.Parse(redirect)
	host, _, _ := strings.Cut(r.Host, ":")
	switch {
	case err != nil || r.URL.Path != want.Path || host != "localhost" && host != "127.0.0.1":
		page(w, http.StatusNotFound, "Nothing is here.")
		return
	case r.Method != http.MethodGet:
		page(w, http.StatusMethodNotAllowed, "Only a browser comes here.")
		return
	case !pending:
		page(w, http.StatusConflict, "This login has been finished already.")
		return
	}
	a, err := answerOf(r.URL)
	if err == nil {
		err = s.redeem(r.Context(), l, a, true)
	}
	if err != nil {
		page(w, http.StatusBadRequest, "The login failed: "+l.client.clean(err.Error()))
		return
	}
	page(w, http.StatusOK, "You are logged in. You can close this page.")
}

func page(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<!doctype html><meta charset=utf-8><title>OmniRoute</title><p>" + html.EscapeString(text) + "</p>\n"))
}
