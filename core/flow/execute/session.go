package execute

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/omniroute/omniroute/core/doc"
)

// session stands for the client's conversation, where it names one: in a header,
// or in the user id of a Messages request. Executors get it in place of the name,
// which may tell who the user is.
func (a *attempt) session() string {
	name := ""
	for _, h := range [...]string{"session_id", "conversation_id", "x-session-id", "x-claude-code-session-id"} {
		if name = a.c.Header.Get(h); name != "" {
			break
		}
	}
	if name == "" && a.c.Doc != nil {
		name, _ = doc.String(a.c.Doc.Skeleton(), "metadata", "user_id")
	}
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}
