// Package upstream is the outbound side: one HTTP client, its clocks, and the
// framings in which providers stream.
//
//	c := upstream.New(upstream.Options{})
//	defer c.Close()
//	resp, err := c.Do(ctx, &upstream.Request{Method: "POST", URL: url, Header: h, Body: body,
//		Timeouts: upstream.DefaultTimeouts(true)})
//	if err != nil { … }              // a *fault.Error; Clock says which clock ran out
//	defer resp.Close()
//
//	s, err := resp.Stream("sse")
//	for {
//		frames, err := s.Next()       // whatever one read brought, never waits to fill a batch
//		…
//		resp.MarkEvent()              // the first meaningful event is here
//	}
//
// HTTP/1.1 runs on connections of our own over fasthttp's header parser: no
// goroutine per request, bodies are read from the connection as they come,
// and a cancelled context closes the connection at once. HTTP/2 runs on
// net/http. Both dial through the same guard, which looks at the address that
// is really dialled, and through the same proxies (HTTP CONNECT, SOCKS5).
//
// Framers ([NewFramer]) cut a byte stream into [abi.Frame] values and give the
// same frames however the bytes are cut into reads. [AppendEvent] and its
// siblings write SSE.
package upstream
