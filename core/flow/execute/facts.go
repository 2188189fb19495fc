package execute

import (
	"context"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/policy"
)

// maxErrText is how much of an error text rules can see.
const maxErrText = 8 << 10

// accountFacts is an account as rules see it.
func (s *Stage) accountFacts(c *call.Call, v *account.View) *policy.Account {
	a := &policy.Account{
		ID: v.ID, Name: v.Name, Provider: v.Provider, Auth: v.Auth, Plan: v.Plan, Tags: v.Tags, Priority: v.Priority,
		Active: v.Active, Status: string(v.Status), Tried: v.Tried, Cooling: v.Cooling, CooldownMS: int(v.CooldownMS),
		ModelLocked: v.ModelLocked, Backoff: v.Backoff, HasError: v.HasError, ErrorCode: v.ErrorCode, ErrorType: v.ErrorType,
		Current: v.Current, Uses: v.Uses, LastUsedMS: int(v.LastUsedMS), Bound: v.Bound, Inflight: v.Inflight,
		QuotaLeft: v.QuotaLeft, QuotaResetMS: int(v.QuotaResetMS), TokenTTLMS: int(v.TokenTTLMS),
		Health: v.Health, CostRank: float64(v.CostRank),
	}
	if c.Snapshot.Wants.Spend {
		scope := "account:" + v.ID
		a.SpendDay, a.SpendMonth = s.Ledger.Spend(scope, "day"), s.Ledger.Spend(scope, "month")
		a.RequestsMinute, a.RequestsDay = s.Ledger.Requests(scope, "minute"), s.Ledger.Requests(scope, "day")
		a.TokensMinute = s.Ledger.Tokens(scope, "minute")
	}
	return a
}

// errFacts is a failure as rules see it.
func errFacts(e *fault.Error) *policy.Err {
	f := policy.NewErr(e.Status)
	text := e.Message
	if len(text) > maxErrText {
		text = text[:maxErrText]
	}
	f.Text, f.Code, f.Type, f.Reason = strings.ToLower(text), e.ProviderCode, e.ProviderType, string(e.Reason)
	if e.RetryAfter >= 0 {
		f.RetryAfterMS = int(e.RetryAfter.Milliseconds())
	}
	f.Timeout = e.Class == fault.ClassTimeout
	f.Network = e.Class == fault.ClassTransport
	f.Aborted = e.Reason == fault.ReasonAborted
	f.EmptyOutput = e.Reason == fault.ReasonEmptyOutput
	return f
}

// breakerFacts is a breaker as rules see it.
func breakerFacts(b health.Breaker) *policy.BreakerState {
	return &policy.BreakerState{Name: b.Name, State: string(b.State), Failures: b.Failures, WindowTotal: b.WindowTotal,
		WindowFailed: b.WindowFailed, Reopens: b.Reopens, SinceMS: int(b.SinceMS)}
}

// contextCause is why a context ended.
func contextCause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }
