package accept

import (
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
)

// endpointModels is what rules see of a request for the model list.
const endpointModels = "models"

// mountModels mounts the model lists: OpenAI's, Anthropic's for clients that say
// which version of that API they speak, and Gemini's.
func mountModels(app *fiber.App, d *door) {
	gemini := func(*fiber.Ctx) string { return "gemini" }
	app.Get("/v1/models", d.models(listDialect))
	app.Get("/v1/models/*", d.model(listDialect))
	app.Get("/v1beta/models", d.models(gemini))
	app.Get("/v1beta/models/*", d.model(gemini))
}

// listDialect tells Anthropic's clients from OpenAI's, who share the path.
func listDialect(c *fiber.Ctx) string {
	if c.Get("anthropic-version") != "" {
		return "claude"
	}
	return "openai"
}

// list admits the client and reads the models it may use.
func (d *door) list(c *fiber.Ctx, dialect string) ([]flow.Listing, *flow.Call, error) {
	if d.flow.Snapshot() == nil {
		return nil, nil, fault.New(fault.CircuitOpen, "The gateway is starting")
	}
	cl := d.open(c, surface{dialect: dialect, endpoint: endpointModels})
	if d.flow.Admit(cl); cl.Err != nil {
		return nil, cl, nil
	}
	return d.flow.Models(cl, c.Query("full") == "1"), cl, nil
}

func (d *door) models(dialectFor func(*fiber.Ctx) string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		dialect := dialectFor(c)
		rows, cl, err := d.list(c, dialect)
		switch {
		case err != nil:
			return err
		case cl.Err != nil:
			return send(c, &cl.Sent)
		}
		head, tail, entry := listShape(dialect, rows)
		body := []byte(head)
		for i := range rows {
			if i > 0 {
				body = append(body, ',')
			}
			body = entry(body, &rows[i], cl.Began)
		}
		return sendJSON(c, cl, append(body, tail...))
	}
}

// model answers for one model.
func (d *door) model(dialectFor func(*fiber.Ctx) string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		dialect := dialectFor(c)
		rows, cl, err := d.list(c, dialect)
		switch {
		case err != nil:
			return err
		case cl.Err != nil:
			return send(c, &cl.Sent)
		}
		id := c.Params("*")
		for i := range rows {
			if rows[i].ID == id {
				_, _, entry := listShape(dialect, rows)
				return sendJSON(c, cl, entry(nil, &rows[i], cl.Began))
			}
		}
		return fault.New(fault.ModelNotFound, "No model named "+strconv.Quote(id))
	}
}

func sendJSON(c *fiber.Ctx, cl *flow.Call, body []byte) error {
	c.Set("x-request-id", cl.ID)
	c.Set(fiber.HeaderContentType, "application/json")
	return c.Send(body)
}

// listShape is the frame of a model list in a dialect, and how an entry is
// written.
func listShape(dialect string, rows []flow.Listing) (head, tail string, entry func([]byte, *flow.Listing, time.Time) []byte) {
	switch dialect {
	case "claude":
		first, last := "null", "null"
		if n := len(rows); n > 0 {
			first, last = string(doc.Quote(nil, rows[0].ID)), string(doc.Quote(nil, rows[n-1].ID))
		}
		return `{"data":[`, `],"has_more":false,"first_id":` + first + `,"last_id":` + last + `}`, claudeModel
	case "gemini":
		return `{"models":[`, `]}`, geminiModel
	}
	return `{"object":"list","data":[`, `]}`, openaiModel
}

func openaiModel(b []byte, m *flow.Listing, now time.Time) []byte {
	b = doc.Quote(append(b, `{"id":`...), m.ID)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, now.Unix(), 10)
	b = doc.Quote(append(b, `,"owned_by":`...), m.OwnedBy)
	text := func(name, v string) {
		if v != "" {
			b = append(b, `,"`+name+`":`...)
			b = doc.Quote(b, v)
		}
	}
	text("parent", m.Parent)
	text("type", m.Type)
	text("name", m.Name)
	if m.Custom {
		b = append(b, `,"custom":true`...)
	}
	number := func(name string, n int64) {
		if n > 0 {
			b = append(b, `,"`+name+`":`...)
			b = strconv.AppendInt(b, n, 10)
		}
	}
	number("dimensions", m.Dimensions)
	if m.Model != nil {
		number("context_length", m.Model.Context)
		number("max_output_tokens", m.Model.MaxOutput)
	}
	if len(m.Sizes) > 0 {
		b = append(b, `,"supported_sizes":[`...)
		for i, s := range m.Sizes {
			if i > 0 {
				b = append(b, ',')
			}
			b = doc.Quote(b, s)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func claudeModel(b []byte, m *flow.Listing, now time.Time) []byte {
	b = doc.Quote(append(b, `{"type":"model","id":`...), m.ID)
	b = doc.Quote(append(b, `,"display_name":`...), display(m))
	b = append(b, `,"created_at":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339)
	return append(b, `"}`...)
}

func geminiModel(b []byte, m *flow.Listing, _ time.Time) []byte {
	b = doc.Quote(append(b, `{"name":`...), "models/"+m.ID)
	b = doc.Quote(append(b, `,"displayName":`...), display(m))
	if m.Model != nil && m.Model.Context > 0 {
		b = strconv.AppendInt(append(b, `,"inputTokenLimit":`...), m.Model.Context, 10)
	}
	if m.Model != nil && m.Model.MaxOutput > 0 {
		b = strconv.AppendInt(append(b, `,"outputTokenLimit":`...), m.Model.MaxOutput, 10)
	}
	return append(b, `,"supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]}`...)
}

// display is the name for people.
func display(m *flow.Listing) string {
	if m.Name != "" {
		return m.Name
	}
	return strings.TrimPrefix(m.ID, "models/")
}
