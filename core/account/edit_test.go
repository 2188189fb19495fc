package account

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// slowDisk is a store whose writes of accounts wait for a word.
type slowDisk struct {
	state.Store
	begun, proceed chan struct{}
}

func (s *slowDisk) Apply(ctx context.Context, b *state.Batch) error {
	s.begun <- struct{}{}
	<-s.proceed
	return s.Store.Apply(ctx, b)
}

// While a change of one account is on its way to the disk, requests go on with
// what was there before.
func TestRequestsDoNotWaitForTheDisk(t *testing.T) {
	p, _, _, h, s := oauth(t)
	disk := &slowDisk{Store: s, begun: make(chan struct{}), proceed: make(chan struct{})}
	p.store = disk
	id := p.List("")[0].ID
	for name, change := range map[string]func() error{
		"renewed": func() error {
			return p.Renewed(context.Background(), id, Tokens{Access: "new", ExpiresAt: h.now().Add(time.Hour)})
		},
		"learnt": func() error { return p.Learn(context.Background(), id, map[string]string{"project": "x"}) },
		"updated": func() error {
			_, err := p.Update(context.Background(), id, func(a *Account) error { a.Name = "other"; return nil }, nil)
			return err
		},
		"added": func() error {
			_, err := p.Add(context.Background(), Account{Provider: "else", Auth: AuthKey, Name: "b"}, Credential{APIKey: "k"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() { done <- change() }()
			<-disk.begun
			l, err := p.Reserve(Query{Provider: "p"}, func([]View) int { return 0 })
			require.NoError(t, err)
			l.Release()
			disk.proceed <- struct{}{}
			require.NoError(t, <-done)
		})
	}
}
