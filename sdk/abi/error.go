package abi

// ErrorRecord is the wire form of a failure. Its class and scope feed
// lockouts and breakers, so a plugin fault never locks an account.
type ErrorRecord struct {
	Message      string
	Class        string // client auth quota rate overloaded not_found content_filter timeout transport upstream plugin
	Scope        string // request credential model provider plugin
	Status       int    // HTTP status; 0 unknown
	Code         string // provider's own code
	Type         string // provider's own type
	Param        string // offending request field
	Retryable    bool
	NoCode       bool  // the code is known to be null
	Upstream     bool  // the provider said it
	Fallback     bool  // another target could serve the request
	RetryAfterMS int64 // 0 unknown
	CooldownMS   int64 // 0 unknown
	ResetAt      int64 // Unix milliseconds, 0 unknown
}

// Error implements error.
func (e *ErrorRecord) Error() string {
	if e.Class == "" {
		return e.Message
	}
	return e.Class + ": " + e.Message
}

// AppendTo appends the record's fields.
func (e *ErrorRecord) AppendTo(w *Writer) {
	w.String(TagErrMessage, e.Message)
	w.Text(TagErrClass, e.Class)
	w.Text(TagErrScope, e.Scope)
	if e.Status != 0 {
		w.U32(TagErrStatus, uint32(e.Status))
	}
	w.Text(TagErrCode, e.Code)
	w.Text(TagErrType, e.Type)
	w.Text(TagErrParam, e.Param)
	w.Flag(TagErrRetryable, e.Retryable)
	w.Flag(TagErrNoCode, e.NoCode)
	w.Flag(TagErrUpstream, e.Upstream)
	w.Flag(TagErrFallback, e.Fallback)
	if e.RetryAfterMS != 0 {
		w.I64(TagErrRetryAfterMS, e.RetryAfterMS)
	}
	if e.CooldownMS != 0 {
		w.I64(TagErrCooldownMS, e.CooldownMS)
	}
	if e.ResetAt != 0 {
		w.I64(TagErrResetAt, e.ResetAt)
	}
}

// Set takes one field of the record and reports whether it belonged to it.
func (e *ErrorRecord) Set(f Field) bool {
	switch f.Tag {
	case TagErrMessage:
		e.Message = f.Text()
	case TagErrClass:
		e.Class = f.Text()
	case TagErrScope:
		e.Scope = f.Text()
	case TagErrStatus:
		e.Status = int(f.Uint())
	case TagErrCode:
		e.Code = f.Text()
	case TagErrType:
		e.Type = f.Text()
	case TagErrParam:
		e.Param = f.Text()
	case TagErrRetryable:
		e.Retryable = f.Bool()
	case TagErrNoCode:
		e.NoCode = f.Bool()
	case TagErrUpstream:
		e.Upstream = f.Bool()
	case TagErrFallback:
		e.Fallback = f.Bool()
	case TagErrRetryAfterMS:
		e.RetryAfterMS = f.Int()
	case TagErrCooldownMS:
		e.CooldownMS = f.Int()
	case TagErrResetAt:
		e.ResetAt = f.Int()
	default:
		return false
	}
	return true
}

// ReadError reads a record that consists of an error only.
func ReadError(record []byte) (*ErrorRecord, error) {
	e := &ErrorRecord{}
	r := Read(record)
	for r.Next() {
		if !e.Set(r.Field()) {
			r.Unknown()
		}
	}
	return e, r.Err()
}
