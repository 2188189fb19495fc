// Package kiro translates the generateAssistantResponse API of Kiro (KI-1 to KI-5).
// It is a provider format only: no client speaks it.
//
// Answers come as frames of an event stream that the executor has decoded: the name
// of an event is the frame's type, its data the JSON payload.
package kiro
