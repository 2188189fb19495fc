// Package about has the routes that describe the gateway itself: version, liveness, the API's own document.
package about

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/state"
)

const tag = "System"

// Deps are what the routes work with.
type Deps struct {
	Version, Commit, BuiltAt string
	Started                  time.Time
	UIHash                   string // of the embedded pages; "" without them
	// PublicDocument shows the OpenAPI document to everybody.
	PublicDocument bool
}

// Register adds the routes.
func Register(r *api.Router, d Deps) {
	api.Handle(r, api.Route{Method: "GET", Path: "/api/version", Tier: api.Viewer, Tag: tag, Summary: "Version of the gateway and its parts"},
		func(context.Context, *struct{}) (*api.Body[version], error) { return api.Reply(d.version()), nil })
	tier := api.Viewer
	if d.PublicDocument {
		tier = api.Public
	}
	document(r, tier, "/api/openapi.json", "application/json", (*huma.OpenAPI).MarshalJSON)
	document(r, tier, "/api/openapi.yaml", "application/yaml", (*huma.OpenAPI).YAML)
}

type version struct {
	Version       string    `json:"version"`
	Commit        string    `json:"commit,omitempty"`
	GoVersion     string    `json:"goVersion"`
	BuiltAt       string    `json:"builtAt,omitempty"`
	UIHash        string    `json:"uiHash,omitempty"`
	SchemaVersion int       `json:"schemaVersion" doc:"Version of the data on disk"`
	StartedAt     time.Time `json:"startedAt"`
}

func (d Deps) version() version {
	return version{Version: d.Version, Commit: d.Commit, GoVersion: runtime.Version(), BuiltAt: d.BuiltAt, UIHash: d.UIHash,
		SchemaVersion: state.Version, StartedAt: d.Started}
}

// document serves the description of all routes; it is made once, when it is first asked for.
func document(r *api.Router, tier api.Tier, path, kind string, marshal func(*huma.OpenAPI) ([]byte, error)) {
	text := sync.OnceValues(func() ([]byte, error) { return marshal(r.OpenAPI()) })
	api.HandleRaw(r, api.Route{Method: "GET", Path: path, Tier: tier, Tag: tag, Summary: "This document"},
		huma.Operation{Responses: map[string]*huma.Response{"200": {
			Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{kind: {}},
		}}},
		func(c *fiber.Ctx) error {
			body, err := text()
			if err != nil {
				return err
			}
			c.Set(fiber.HeaderContentType, kind)
			return c.Send(body)
		})
}
