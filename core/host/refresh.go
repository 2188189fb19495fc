package host

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// ErrUnsupported says that an executor does not have an optional operation.
var ErrUnsupported = errors.New("host: the executor does not support this operation")

// CodeRelogin is the provider code of the error of a credential that only a
// person can renew.
const CodeRelogin = "relogin"

// AuthInput is the input of operations on a credential: AUTH_REFRESH and QUOTA.
type AuthInput struct {
	Profile    *Profile
	AuthKind   string            // api_key, oauth, none
	Attributes map[string]string // non-secret account attributes
	Expires    time.Time         // of the access token; zero = unknown
	Effects    Effects
	Secrets    Secrets // of the account, for exchanges and for guests that may sign with them; nil = none
}

// Renewal is how a credential is renewed: a plan to send, and where its reply
// has the new one. Guests see neither the plan filled in nor the reply.
type Renewal struct {
	Plan   *Plan
	Tokens []Token
}

// Token is one field of a credential and its dotted path in a reply.
type Token struct{ Field, Path string }

// Fields takes the fields of a credential out of a reply; numbers become their
// digits. What the reply does not have is left out.
func (r *Renewal) Fields(body []byte) map[string]string {
	out := make(map[string]string, len(r.Tokens))
	for _, t := range r.Tokens {
		raw, ok := doc.Get(body, strings.Split(t.Path, ".")...)
		if !ok {
			continue
		}
		if s, ok := doc.String(raw); ok {
			if s != "" {
				out[t.Field] = s
			}
		} else if n, ok := doc.Int(raw); ok {
			out[t.Field] = strconv.FormatInt(n, 10)
		}
	}
	return out
}

// Refresh asks how the credential of an account is renewed. ErrUnsupported: it
// cannot be; a *fault.Error with the provider code [CodeRelogin]: not any more.
func (x *Executor) Refresh(ctx context.Context, in AuthInput) (*Renewal, error) {
	out := &Renewal{}
	err := x.credential(ctx, abi.OpAuthRefresh, in, func(rec []byte) error {
		f, ok := abi.Find(rec, abi.TagPlan)
		if !ok {
			return errNoPlan
		}
		var err error
		if out.Plan, err = readPlan(f); err != nil {
			return err
		}
		out.Tokens = out.Plan.tokens
		return nil
	}, func(tainted func() bool) error { return x.check(out.Plan, in.Profile, tainted) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Quota asks what an account has left. The report is JSON as the guest made it.
func (x *Executor) Quota(ctx context.Context, in AuthInput) (report []byte, err error) {
	err = x.credential(ctx, abi.OpQuota, in, func(rec []byte) error {
		f, ok := abi.Find(rec, abi.TagJSON)
		if !ok {
			return errNoBody
		}
		report = append([]byte(nil), f.Value...)
		return nil
	}, nil)
	return report, err
}

// credential runs an operation on a credential.
func (x *Executor) credential(ctx context.Context, op abi.Op, in AuthInput, use func([]byte) error, approve func(func() bool) error) error {
	err := withRecord(func(w *abi.Writer) error {
		x.head(w, in.Profile, "", "", in.AuthKind, false, 0)
		if len(in.Attributes) > 0 {
			w.Bytes(abi.TagAttributes, attributes(in.Attributes))
		}
		if !in.Expires.IsZero() {
			w.I64(abi.TagExpiresMS, in.Expires.UnixMilli())
		}
		return x.run(ctx, op, w.Buf, runInput{profile: in.Profile, effects: in.Effects, secrets: in.Secrets}, use, approve)
	})
	var e *fault.Error
	if errors.As(err, &e) && e.Status == 501 && e.Class == fault.ClassPlugin {
		return ErrUnsupported
	}
	return err
}
