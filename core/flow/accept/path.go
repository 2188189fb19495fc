package accept

import "strings"

// canonicalPath maps the spellings that clients and older set-ups use onto the
// one under which a surface is registered:
//
//	/api/v1/x, /v1/v1/x  -> /v1/x       (the second by clients that append /v1 to a base URL that has it)
//	/chat/completions, /responses, /messages, /models, /embeddings, … -> the same under /v1
//	/codex, /codex/x     -> /v1/responses
//
// base is the configured path prefix, which is taken off first.
func canonicalPath(path, base string) string {
	if base != "" {
		if rest, ok := strings.CutPrefix(path, base); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if rest, ok := under(path, "/api/v1beta"); ok {
		return "/v1beta" + rest
	}
	if rest, ok := under(path, "/api/v1"); ok {
		path = "/v1" + rest
	}
	if rest, ok := under(path, "/v1/v1"); ok {
		path = "/v1" + rest
	}
	if rest, ok := under(path, "/v1/v1beta"); ok {
		return "/v1beta" + rest
	}
	if _, ok := under(path, "/codex"); ok {
		return "/v1/responses"
	}
	for _, m := range mediaSurfaces {
		if path == m.path {
			return "/v1" + path
		}
	}
	switch path {
	case "/chat/completions", "/responses", "/messages", "/messages/count_tokens", "/models":
		return "/v1" + path
	case "/v1", "/v1/":
		return "/v1/models"
	}
	return path
}

// under reports whether path is dir or lies below it, and what follows.
func under(path, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, dir)
	return rest, ok && (rest == "" || rest[0] == '/')
}
