// Package oauth logs accounts in at providers and renews what they were given.
//
// A [Server] is what is known of a provider's authorization server: addresses,
// client, scopes. How twelve providers want to be spoken to is in one file each:
// authorization code with PKCE on a loopback redirect (RFC 6749, 7636, 8252),
// device code (RFC 8628) and its relatives, or the import of a credential that
// another program holds.
//
//	s := oauth.New(oauth.Options{Server: find, Send: send, Save: save})
//	login, err := s.Start(ctx, oauth.Start{Provider: "qwen"})
//	// show login.VerifyURL and login.UserCode ...
//	login, err = s.Wait(ctx, login.ID) // Done: login.Account is stored
//
// A login is a record in memory with a life of minutes. Verifier, state and
// device code never leave it; the state serves once. What comes back is a
// [Grant], which the caller's Save makes an account of; [Service.Refresh] gives a
// new one for an account that exists.
//
// The package performs no HTTP itself and stores nothing: a [Sender] and the Save
// function do, so that proxies, guards and encryption are those of the gateway.
// Texts of providers pass through with every secret of the request removed.
package oauth
