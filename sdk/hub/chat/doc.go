// Package chat reads and writes the chat completions shape. It is the body of the
// openai dialect, and, with the extension member x_omni, the JSON form of the hub
// itself: see [Hub].
package chat
