package account

import (
	"context"
	"fmt"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Learn keeps what a provider told about an account, such as the project it
// works in, beside its other data. The account's condition stays. For an account
// of the configuration file it is kept until the file is read again. With an
// error it serves all the same.
func (p *Pool) Learn(ctx context.Context, id string, data map[string]string) error {
	p.edit.Lock()
	defer p.edit.Unlock()
	m := p.byID[id]
	if m == nil {
		return fmt.Errorf("%w: account %q", ErrNotFound, id)
	}
	info, cred := *m.info, *m.cred
	info.Data = merged(info.Data, data)
	var err error
	if !info.FromFile && !m.standing {
		info.State = Condition{}
		info.UpdatedAt, info.Rev = p.opt.Now().UTC(), info.Rev+1
		if err = p.save(ctx, &info, &cred); err != nil && p.opt.Writer != nil { // until the store works again
			if raw, merr := json.Marshal(accountRecord{Account: info, Credential: cred}); merr == nil {
				p.opt.Writer.Put(state.Key(kindAccount, info.ID), raw, 0)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	m.info = &info
	return err
}
