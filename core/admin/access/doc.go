// Package access decides who may administer the gateway: the operator's password, browser sessions, admin tokens,
// and the one-time setup token of a gateway that has no password yet.
//
//	svc, err := access.Open(ctx, store, access.Options{Secret: secret, Lockout: lockout})
//	cookie, session, err := svc.Login(ctx, password, client) // 401, 403 SETUP_REQUIRED, 423 while locked
//	who, err := svc.Session(cookie)                          // on every request
//	who, err := svc.Token("omr_…")
//
// A session is looked up on every request: logging out, revoking one, or changing the password (which ends them all)
// works at once. The cookie is a JWT (HS256, RFC 7519) whose sid names the session and whose ep is the epoch of the
// password. Passwords are kept as argon2id hashes (RFC 9106) in PHC notation; bcrypt hashes from an import are
// accepted once and replaced. Tokens are kept as SHA-256.
//
// Everything compared with a secret is compared in constant time, and failures are counted per address before any
// hash is computed.
package access
