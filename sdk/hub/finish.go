package hub

// FinishOf maps a provider's finish reason to the hub's (F-1). The empty string
// stays empty; unknown reasons mean stop.
func FinishOf(native string) string {
	switch native {
	case "":
		return ""
	case "length", "max_tokens", "model_context_window_exceeded", "MAX_TOKENS", "max_output_tokens":
		return FinishLength
	case "tool_calls", "function_call", "tool_use":
		return FinishTools
	case "content_filter", "refusal", "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER":
		return FinishFilter
	}
	return FinishStop
}

// SettleFinish corrects a finish reason by what was produced: a stop next to calls
// is tool_calls (F-2), tool_calls without a call is stop (F-3), a stop next to a
// refusal is content_filter (F-6).
func SettleFinish(finish string, calls, refusal bool) string {
	switch {
	case calls && (finish == FinishStop || finish == ""):
		return FinishTools
	case !calls && finish == FinishTools:
		finish = FinishStop
	}
	if refusal && !calls && (finish == FinishStop || finish == "") {
		return FinishFilter
	}
	if finish == "" {
		return FinishStop
	}
	return finish
}

// Settle applies [SettleFinish] to a whole answer and completes the usage total.
func (r *Response) Settle() {
	refusal := false
	for i := range r.Items {
		refusal = refusal || r.Items[i].Kind == ItemRefusal
	}
	r.Finish = SettleFinish(r.Finish, r.HasCalls(), refusal)
}

// ErrEmpty is the failure of an answer with neither output nor finish reason (W-5).
func ErrEmpty() *Error { return BadGateway("empty_response", "upstream returned an empty response") }

// ErrTruncated is the failure of a stream that stopped in the middle (W-6).
func ErrTruncated() *Error {
	return BadGateway("stream_truncated", "the upstream stream ended before its answer was complete")
}

// ErrBody is the failure of an answer that is not JSON of the expected kind.
func ErrBody(what string) *Error {
	return BadGateway("bad_gateway", "upstream answered with a body that is not "+what)
}
