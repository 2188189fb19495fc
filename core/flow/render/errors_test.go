package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

func TestErrorBodies(t *testing.T) {
	for _, c := range []struct {
		status                       int
		openaiType, code, cl, gemini string
	}{
		{400, "invalid_request_error", `"bad_request"`, "invalid_request_error", "INVALID_ARGUMENT"},
		{401, "authentication_error", `"invalid_api_key"`, "authentication_error", "UNAUTHENTICATED"},
		{402, "billing_error", `"payment_required"`, "billing_error", "FAILED_PRECONDITION"},
		{403, "permission_error", `"permission_denied"`, "permission_error", "PERMISSION_DENIED"},
		{404, "invalid_request_error", `"model_not_found"`, "not_found_error", "NOT_FOUND"},
		{409, "invalid_request_error", `null`, "invalid_request_error", "INVALID_ARGUMENT"},
		{413, "invalid_request_error", `null`, "request_too_large", "INVALID_ARGUMENT"},
		{429, "rate_limit_error", `"rate_limit_exceeded"`, "rate_limit_error", "RESOURCE_EXHAUSTED"},
		{500, "server_error", `"internal_server_error"`, "api_error", "INTERNAL"},
		{502, "server_error", `"bad_gateway"`, "api_error", "INTERNAL"},
		{503, "server_error", `"service_unavailable"`, "overloaded_error", "UNAVAILABLE"},
		{504, "server_error", `"gateway_timeout"`, "timeout_error", "DEADLINE_EXCEEDED"},
		{520, "server_error", `"internal_server_error"`, "api_error", "INTERNAL"},
	} {
		e := fault.New(fault.Provider, `it "broke"`)
		e.Status = c.status
		require.JSONEq(t, `{"error":{"message":"it \"broke\"","type":"`+c.openaiType+`","param":null,"code":`+c.code+`,"omniroute_code":"PROVIDER_001","request_id":"r1"}}`,
			string(AppendError(nil, "openai", e, "r1")))
		require.JSONEq(t, `{"type":"error","error":{"type":"`+c.cl+`","message":"it \"broke\"","omniroute_code":"PROVIDER_001"},"request_id":"r1"}`,
			string(AppendError(nil, "claude", e, "r1")))
		require.Contains(t, string(AppendError(nil, "gemini", e, "r1")), `"status":"`+c.gemini+`"`)
	}
}

func TestStatusOfOverloadIsAnthropicsOwn(t *testing.T) {
	e := fault.New(fault.Provider)
	e.Status = 529
	require.Equal(t, 529, Status("claude", e))
	require.Equal(t, 503, Status("openai", e))
	e.Status = 0
	require.Equal(t, 502, Status("openai", e))
}

func TestErrorHeaderSaysWhenToRetry(t *testing.T) {
	e := fault.New(fault.RateLimited)
	require.Len(t, errorHeader(e), 1)
	e.RetryAfter = 1500 * time.Millisecond
	require.Equal(t, "2", errorHeader(e)[1].Value)
	e.RetryAfter = 0
	require.Equal(t, "1", errorHeader(e)[1].Value)
	require.Equal(t, "true", errorHeader(e)[0].Value)
}

func TestStreamErrorsFollowTheDialect(t *testing.T) {
	e := fault.New(fault.StreamStalled)
	for dialect, want := range map[string][]string{
		"openai":           {"data: {\"error\":{", "\n\ndata: [DONE]\n\n"},
		"claude":           {"event: error\ndata: {\"type\":\"error\",", "timeout_error"},
		"gemini":           {"data: {\"error\":{\"code\":504,"},
		"openai-responses": {"event: error\ndata: {\"type\":\"error\",\"code\":\"gateway_timeout\",", `"sequence_number":3`, "event: response.failed\n", `"sequence_number":4`, `"status":"failed"`},
	} {
		w := writer{c: &call.Call{Dialect: dialect, ID: "r"}, sent: 3}
		w.fail(e)
		for _, part := range want {
			require.Contains(t, string(w.out), part, dialect)
		}
		if dialect == "claude" {
			require.NotContains(t, string(w.out), "[DONE]")
		}
	}
}

// Codes and fields are kept between OpenAI formats only.
func TestForeignCodesStayOutside(t *testing.T) {
	e := fault.Upstream(429, "quota")
	e.ProviderCode, e.Param, e.Dialect = "RESOURCE_EXHAUSTED", "contents", "gemini"
	require.Contains(t, string(AppendError(nil, "openai", e, "r")), `"param":null,"code":"rate_limit_exceeded"`)
	e.ProviderCode, e.Param, e.Dialect = "insufficient_quota", "messages", "openai"
	require.Contains(t, string(AppendError(nil, "openai", e, "r")), `"param":"messages","code":"insufficient_quota"`)
}
