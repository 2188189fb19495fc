package telemetry

import "github.com/google/uuid"

// MaxRequestID is the longest request id accepted from a client.
const MaxRequestID = 128

// NewRequestID returns a new id: a UUIDv7, so ids sort by time.
func NewRequestID() string {
	return uuid.Must(uuid.NewV7()).String() // fails only without a random source
}

// RequestID returns incoming if it is acceptable as a request id, that is 1 to
// 128 characters of [A-Za-z0-9._:-], and a new id otherwise.
func RequestID(incoming string) string {
	if len(incoming) == 0 || len(incoming) > MaxRequestID {
		return NewRequestID()
	}
	for i := range len(incoming) {
		switch c := incoming[i]; {
		case wordByte(c), c == '.', c == '_', c == ':', c == '-':
		default:
			return NewRequestID()
		}
	}
	return incoming
}
