package execute

import (
	"context"
	"errors"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
)

// Renewer keeps the credentials of accounts fresh; see [account.Renewer].
type Renewer interface {
	// Due reports whether the credential of a lease should be renewed before use.
	Due(l *account.Lease) bool
	// Renew gives the lease a newer credential than the one it holds. rejected says
	// that the provider did not take that one.
	Renew(ctx context.Context, l *account.Lease, rejected bool) error
}

// aheadTime is how long a request waits for a new credential while the old one
// still serves.
const aheadTime = 10 * time.Second

// freshen renews a credential whose end is near. If that fails, the old one is
// used as long as it serves.
func (a *attempt) freshen() {
	r := a.l.s.Renewer
	if r == nil || !r.Due(a.lease) {
		return
	}
	ctx, cancel := context.WithTimeout(a.c.Ctx, aheadTime)
	defer cancel()
	_ = r.Renew(ctx, a.lease, false) // logged, and noted in the account
}

// renewable reports whether the attempt may still ask for a new credential.
func (a *attempt) renewable() bool {
	return !a.renewed && a.l.s.Renewer != nil && a.lease.Account().Auth == account.AuthOAuth
}

// renew gets the account's next credential.
func (a *attempt) renew(rejected bool) *fault.Error {
	name := a.lease.Account().Name
	if !a.renewable() {
		return fault.New(fault.InvalidKey, "The credential of account "+name+" has expired")
	}
	a.renewed = true
	err := a.l.s.Renewer.Renew(a.c.Ctx, a.lease, rejected)
	switch {
	case err == nil:
		return nil
	case a.c.Ctx.Err() != nil:
		return cancelled(a.c)
	case errors.Is(err, account.ErrNotRenewable):
		return fault.New(fault.InvalidKey, "The credential of account "+name+" cannot be renewed")
	}
	return a.blamed(fault.From(err))
}

// afterRenewal repeats a request whose credential was rejected, once, with a new
// one. Only a good answer takes the place of the first refusal.
func (a *attempt) afterRenewal(round int, first *fault.Error) *fault.Error {
	if a.renew(true) != nil {
		if a.c.Ctx.Err() != nil {
			return cancelled(a.c)
		}
		return first
	}
	if a.exchange(round+1) == nil {
		return nil
	}
	if a.c.Ctx.Err() != nil {
		return cancelled(a.c)
	}
	return first
}
