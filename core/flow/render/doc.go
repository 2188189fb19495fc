// Package render is the fifth stage of the flow: it gives the client its answer
// in its own dialect.
//
// A whole answer becomes a [call.Reply]; a stream is pulled from execute and
// written event by event to the [call.Client], whole events at a time, so that
// the connection may put heartbeats between them. Errors get the body of the
// client's dialect before the first byte, and an error event of it afterwards.
package render
