package hub

// Error is a failure on its way to the client, in no particular dialect.
type Error struct {
	Status       int    // HTTP status
	Type         string // OpenAI error type; "" = by status
	Code         string // OpenAI error code; "" = by status
	NoCode       bool   // the code is known to be null
	Param        string // offending field; "" = null
	Message      string
	Upstream     bool  // upstream said it, the gateway did not
	Fallback     bool  // another target may serve the request
	RetryAfterMS int64 // -1 or 0 = unknown
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code != "" {
		return e.Code + ": " + e.Message
	}
	return e.Message
}
