package sdk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/abi"
)

// lab is a provider that renews logins and reports quotas.
func lab() *Module {
	return Provider("acme/lab", "1.0.0").Base("https://api.acme.example").
		OnRefresh(func(c *Ctx, p *Plan) error {
			if c.Attribute("region") == "" {
				return Relogin("connect the account again")
			}
			if c.ExpiresMS() != 1771412345000 {
				return Relogin("the end of the token is not known")
			}
			OAuth{URL: "https://auth.acme.example/token", Secret: true}.Plan(p)
			p.Token("region", "account.region")
			return nil
		}).
		OnQuota(func(c *Ctx) ([]byte, error) {
			if len(c.Replies) == 0 {
				p := Plan{Method: "GET", URLs: []string{"https://api.acme.example/usage"}, Auth: Bearer("access_token")}
				return nil, &Need{Plans: []Plan{p}, Keep: []byte("k")}
			}
			left := JSON(c.Replies[0].Body).Get("left")
			return append(append([]byte(`{"quotas":{"week":{"remainingPercentage":`), left...), `}}}`...), nil
		}).Module()
}

func credential(m *Module, op abi.Op, attributes string, more ...func(w *abi.Writer)) ([]byte, bool) {
	var w abi.Writer
	w.String(abi.TagPart, "lab")
	w.String(abi.TagProvider, "lab")
	w.Bytes(abi.TagAttributes, []byte(attributes))
	w.I64(abi.TagExpiresMS, 1771412345000)
	for _, f := range more {
		f(&w)
	}
	return m.Call(nil, op, 0, w.Buf)
}

func TestRefreshIsPlanned(t *testing.T) {
	out, isError := credential(lab(), abi.OpAuthRefresh, `{"region":"eu"}`)
	require.False(t, isError)
	plan, ok := abi.Find(out, abi.TagPlan)
	require.True(t, ok)
	tokens := map[string]string{}
	for r := plan.Record(); r.Next(); {
		if f := r.Field(); f.Tag == abi.TagPlanToken {
			name, path, err := f.Pair()
			require.NoError(t, err)
			tokens[name] = path
		}
	}
	require.Equal(t, map[string]string{"access_token": "access_token", "refresh_token": "refresh_token", "id_token": "id_token",
		"expires_in": "expires_in", "expires_at": "expires_at", "region": "account.region"}, tokens)
	require.Contains(t, string(out), "client_secret={{secret:client_secret}}")

	out, isError = credential(lab(), abi.OpAuthRefresh, `{}`)
	require.True(t, isError)
	e, err := abi.ReadError(out)
	require.NoError(t, err)
	require.Equal(t, "relogin", e.Code)
}

func TestQuotaAsksFirst(t *testing.T) {
	m := lab()
	out, isError := credential(m, abi.OpQuota, `{}`)
	require.False(t, isError)
	need, ok := abi.Find(out, abi.TagNeed)
	require.True(t, ok)
	kept, ok := abi.Find(need.Value, abi.TagContinuation)
	require.True(t, ok)
	require.Equal(t, "k", string(kept.Value))
	out, isError = credential(m, abi.OpResume, `{}`, func(w *abi.Writer) {
		w.U32(abi.TagResumeOp, uint32(abi.OpQuota))
		mark := w.Open(abi.TagReply)
		w.U32(abi.TagStatus, 200)
		w.Bytes(abi.TagBody, []byte(`{"left":40}`))
		w.Close(mark)
	})
	require.False(t, isError)
	report, ok := abi.Find(out, abi.TagJSON)
	require.True(t, ok)
	require.Equal(t, `{"quotas":{"week":{"remainingPercentage":40}}}`, string(report.Value))
}

// A part without these operations says so, with the status that stands for it.
func TestRefreshIsOptional(t *testing.T) {
	m := Provider("acme/lab", "1.0.0").Base("https://api.acme.example").Module()
	for _, op := range []abi.Op{abi.OpAuthRefresh, abi.OpQuota} {
		out, isError := credential(m, op, `{}`)
		require.True(t, isError)
		e, err := abi.ReadError(out)
		require.NoError(t, err)
		require.Equal(t, 501, e.Status)
	}
}

func TestTokenRefused(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   bool
	}{
		{401, "", true},
		{403, `{"error":{"message":"The OAuth Token has EXPIRED"}}`, true},
		{403, `{"error":"Request had invalid authentication credentials."}`, true},
		{403, `{"error":"your plan does not include this model"}`, false},
		{429, "token expired", false},
	} {
		require.Equal(t, tc.want, TokenRefused(&Result{Status: tc.status, Body: []byte(tc.body)}), tc)
	}
}
