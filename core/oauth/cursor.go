package oauth

import (
	"context"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// cursor has no login of its own here: the token of its program is imported.
type cursor struct{ standard }

// cursorLife is assumed of tokens that do not tell their end.
const cursorLife = 24 * time.Hour

var machineID = regexp.MustCompile(`^(?i:[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

func (cursor) methods() []Method {
	return []Method{
		{ID: "import", Kind: KindImport, Label: "Token of the Cursor program", Fields: []Field{
			{Name: "accessToken", Label: "Access token (cursorAuth/accessToken)", Secret: true},
			{Name: "machineId", Label: "Machine id (storage.serviceMachineId)"}}},
		{ID: "auto-import", Kind: KindImport, Label: "Login of the Cursor program on this machine"},
	}
}

func (cursor) take(_ context.Context, c *client, f *flow) (*Grant, error) {
	access, machine := unquoted(f.fields["accessToken"]), unquoted(f.fields["machineId"])
	if f.method.ID == "auto-import" {
		if !c.LocalImport {
			return nil, errLocal
		}
		var err error
		if access, machine, err = cursorState(c.Home); err != nil {
			return nil, err
		}
	}
	c.hide(access)
	switch {
	case len(access) < 50:
		return nil, &Error{Status: 400, Code: "invalid_token", Text: "access tokens of Cursor have 50 characters and more"}
	case !machineID.MatchString(machine):
		return nil, &Error{Status: 400, Code: "invalid_machine_id", Text: "a machine id is a UUID or 64 hexadecimal digits"}
	}
	_, jwt, ok := strings.Cut(access, "::") // the web's form has the user before the token
	if !ok {
		jwt = access
	}
	payload := claims(jwt)
	g := &Grant{Access: access, Subject: text(payload, "sub"), Email: text(payload, "email"), ExpiresAt: TokenEnd("", text(payload, "exp"), "", c.now())}
	if g.ExpiresAt.IsZero() {
		g.ExpiresAt = c.now().Add(cursorLife)
	}
	g.data("machineId", machine)
	g.data("authMethod", "imported")
	return g, nil
}

// unquoted takes the quotes from a value copied out of JSON.
func unquoted(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }

// cursorDir is where Cursor keeps its state, below a home directory.
func cursorDir(home string) string {
	switch runtime.GOOS {
	case "darwin":
		home = filepath.Join(home, "Library", "Application Support")
	case "windows":
		home = filepath.Join(home, "AppData", "Roaming")
	default:
		home = filepath.Join(home, ".config")
	}
	return filepath.Join(home, "Cursor", "User", "globalStorage", "state.vscdb")
}

func (cursor) refresh(context.Context, *client, *Credential) (*Grant, error) {
	return nil, ErrNotRenewable
}
