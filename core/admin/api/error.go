package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/fault"
)

// Detail is one thing that is wrong with a request or a document.
type Detail struct {
	Field   string `json:"field,omitempty" doc:"Where: a field of the body, or a parameter"`
	Message string `json:"message" doc:"What is wrong"`
	File    string `json:"file,omitempty" doc:"The file of a diagnostic"`
	Line    int    `json:"line,omitempty" doc:"Line of a diagnostic, from 1"`
	Column  int    `json:"column,omitempty" doc:"Column of a diagnostic in characters, from 1"`
	Excerpt string `json:"excerpt,omitempty" doc:"The line with a caret under the place"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	Body struct {
		Code          fault.Code `json:"code" doc:"Stable name of the failure"`
		Message       string     `json:"message" doc:"For people"`
		CorrelationID string     `json:"correlation_id" doc:"The request id, as in the log"`
		Details       []Detail   `json:"details,omitempty"`
	} `json:"error"`

	status  int
	headers http.Header
}

// Error implements error.
func (e *Error) Error() string { return string(e.Body.Code) + ": " + e.Body.Message }

// GetStatus implements huma.StatusError.
func (e *Error) GetStatus() int { return e.status }

// GetHeaders implements huma.HeadersError.
func (e *Error) GetHeaders() http.Header { return e.headers }

// answer turns any error of a handler into the body that its client gets. Texts that are not from the catalogue or
// from a handler stay in the log.
func answer(err error, correlation string) *Error {
	e := new(Error)
	f := fault.As(err)
	if f == nil {
		f = fault.Wrap(fault.Internal, err)
	}
	e.status = f.Status
	e.Body.Code, e.Body.Message, e.Body.CorrelationID = f.Code, f.Message, correlation
	if f.Param != "" {
		e.Body.Details = append(e.Body.Details, Detail{Field: f.Param, Message: f.Message})
	}
	var with *detailed
	if errors.As(err, &with) {
		e.Body.Details = append(e.Body.Details, with.details...)
	}
	e.headers = http.Header{"X-Error-Message": {headerText(f.Message)}}
	if f.RetryAfter >= 0 && (f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable || f.Status == http.StatusLocked) {
		e.headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	return e
}

// headerText makes a message fit for a header: one line of printable ASCII.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
}

type detailed struct {
	error
	details []Detail
}

func (d *detailed) Unwrap() error { return d.error }

// WithDetails adds what is wrong in particular.
func WithDetails(err error, details ...Detail) error { return &detailed{err, details} }

// Diagnostics is the refusal of a document that does not compile, with every problem and its place.
func Diagnostics(code fault.Code, problems []fault.Diagnostic) error {
	details := make([]Detail, len(problems))
	for i, p := range problems {
		details[i] = Detail{Message: p.Message, File: p.File, Line: p.Line, Column: p.Column, Excerpt: p.Excerpt}
	}
	message := ""
	if len(problems) > 0 {
		message = problems[0].String()
	}
	return &detailed{fault.New(code, message), details}
}

// Missing is the error of something that does not exist.
func Missing(kind, id string) error { return fault.Newf(fault.NotFound, "There is no %s %q", kind, id) }

// refusal makes the error of a request that the router itself refused: validation, media type, size.
func refusal(status int, message string, errs []error, correlation string) *Error {
	var details []Detail
	for _, err := range errs {
		if err == nil {
			continue
		}
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			details = append(details, Detail{Field: strings.TrimPrefix(d.Location, "body."), Message: d.Message})
		} else {
			details = append(details, Detail{Message: err.Error()})
		}
	}
	code := fault.InvalidBody
	switch {
	case status == http.StatusRequestEntityTooLarge:
		code = fault.PayloadTooLarge
	case status == http.StatusNotFound:
		code = fault.NotFound
	case status >= 500:
		code, details = fault.Internal, nil
	}
	f := fault.New(code)
	switch {
	case code == fault.NotFound:
		f.Message = message
	case code != fault.InvalidBody:
	case len(details) > 0:
		f.Message = fmt.Sprintf("Invalid request: %s", details[0].Message)
		if details[0].Field != "" {
			f.Message = fmt.Sprintf("Invalid request: %s: %s", details[0].Field, details[0].Message)
		}
	default:
		f.Message = "Invalid request: " + message
	}
	switch status {
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusRequestTimeout:
		f.Status = status
	}
	return answer(&detailed{f, details}, correlation)
}

// writeError answers outside of a typed handler.
func writeError(c *fiber.Ctx, e *Error) error {
	for name, values := range e.headers {
		c.Set(name, values[0])
	}
	return c.Status(e.status).JSON(e)
}

func retryAfter(code fault.Code, wait time.Duration) error {
	e := fault.New(code)
	e.RetryAfter = wait
	return e
}
