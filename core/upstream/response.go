package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// Response is an answer whose body is still to be read. It is for one
// goroutine, except Abort.
type Response struct {
	Status int
	Header []Header // end-to-end fields, names in lower case; codings are undone

	client   *Client
	watch    *watch
	host     string
	proxied  bool
	body     transportBody
	reader   io.Reader // body with its codings undone
	decoders []*decoder
	max      int64
	count    int64
	err      error // sticky
	closed   bool
}

// transportBody is a body as it comes from the wire.
type transportBody interface {
	io.Reader
	close(w *watch) // ends the call without waiting
	length() int64  // announced size, 0 if unknown
}

// Get returns the first value of a header, "" if there is none.
func (r *Response) Get(name string) string { return HeaderValue(r.Header, name) }

// Read reads from the decoded body. It returns what is there and waits only if
// nothing is. Errors other than io.EOF are *fault.Error.
func (r *Response) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.reader.Read(p)
	r.count += int64(n)
	switch {
	case r.count > r.max:
		r.err = r.tooLarge(r.max)
		return 0, r.err
	case err == io.EOF:
		r.err = io.EOF
		if len(r.decoders) > 0 {
			// A decoder knows its end before the transport does.
			var rest [512]byte
			_, _ = r.body.Read(rest[:])
		}
	case err != nil:
		r.err = r.failure(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

func (r *Response) failure(err error) error {
	var network net.Error
	e := r.watch.failure(err, r.host, r.proxied)
	if len(r.decoders) > 0 && e.Clock == "" && errors.Unwrap(e) == err &&
		!errors.As(err, &network) && !connectionLost(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return badAnswer(r.host, "the body does not decode", err)
	}
	return e
}

func (r *Response) tooLarge(limit int64) error {
	return badAnswer(r.host, fmt.Sprintf("the response body is larger than %d bytes", limit), nil)
}

// ReadAll reads the rest of the body, at most limit bytes (0 = the limit of
// the request); a longer body is an error. It stops the first-event clock.
func (r *Response) ReadAll(limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = r.max
	}
	b, err := r.readUpTo(limit + 1)
	if err == nil && int64(len(b)) > limit {
		return nil, r.tooLarge(limit)
	}
	return b, err
}

// ReadPrefix is ReadAll for bodies of which the first limit bytes are enough.
func (r *Response) ReadPrefix(limit int64) ([]byte, error) { return r.readUpTo(limit) }

func (r *Response) readUpTo(limit int64) ([]byte, error) {
	r.MarkEvent()
	const most = 1 << 20 // a promise of more is believed when it comes
	b := make([]byte, 0, max(512, min(limit, r.body.length()+1, most)))
	for int64(len(b)) < limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):int(min(int64(cap(b)), limit))])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// MarkEvent says that the first meaningful event is here and stops the
// first-event clock.
func (r *Response) MarkEvent() { r.watch.event.Store(true) }

// Close ends the call. A connection whose body was read, or ends shortly, goes
// back to the pool; any other is closed. Close does not wait.
func (r *Response) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	for _, d := range r.decoders {
		d.release()
	}
	r.body.close(r.watch)
	if r.err == nil {
		r.err = net.ErrClosed
	}
	return nil
}

// Abort closes the connection at once, so that the provider stops working.
// It may be called from any goroutine; Close is still needed.
func (r *Response) Abort() { r.watch.cancel(errAborted) }
