// Package cursor translates for the chat service of Cursor (CU-1, CU-2). It is a
// provider format only: no client speaks it.
//
// The dialect writes and reads JSON in the shape of chat completions, with system
// text and tool results folded into user messages, because the service knows
// neither. The executor turns that JSON into the protobuf message the service
// takes, and the messages it answers with into chunks of chat completions.
package cursor
