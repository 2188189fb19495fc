// Package cursor translates for the chat service of Cursor (CU-1, CU-2). It is a
// provider format only: no client speaks it.
//
// The format has two layers. The dialect writes and reads JSON in the shape of chat
// completions, with system text and tool results folded into user messages, because
// the service knows neither. [AppendPayload] encodes that JSON as the protobuf
// message the service takes, and [Payload] reads the protobuf messages it answers
// with; framing, checksum and headers belong to the executor.
package cursor
