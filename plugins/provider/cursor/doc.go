// Package cursor is the executor of Cursor, whose chat service speaks protobuf in
// frames of the Connect protocol.
//
// Requests come in the dialect cursor, which is JSON in the shape of chat
// completions; they leave as one message behind a frame header, with a checksum
// of time and machine. Answers are read message by message into chunks of chat
// completions. What the service derives from the account's token (a digest and a
// session id) is filled in by the gateway, so the executor never sees the token.
package cursor
