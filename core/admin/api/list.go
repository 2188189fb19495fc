package api

import (
	"encoding/base64"
	"strconv"

	"github.com/omniroute/omniroute/core/fault"
)

// List is a page of something.
type List[T any] struct {
	Data []T  `json:"data"`
	Page Page `json:"page"`
}

// Page tells how to go on.
type Page struct {
	Next  string `json:"next,omitempty" doc:"Give it as cursor to get the next page; absent at the end"`
	Limit int    `json:"limit,omitempty"`
	Total *int   `json:"total,omitempty" doc:"Of all pages, where it is known without counting"`
}

// Whole is a list that needs no pages.
func Whole[T any](rows []T) List[T] {
	if rows == nil {
		rows = []T{}
	}
	n := len(rows)
	return List[T]{Data: rows, Page: Page{Total: &n}}
}

// Paging are the query parameters of a list with pages.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"4000" doc:"page.next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// After is the key that the cursor stands for; "" at the start. Errors: 400 for a cursor that is none of ours.
func (p *Paging) After() (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", fault.New(fault.InvalidBody, "The cursor is not one of this list")
	}
	return string(key), nil
}

// Next makes the cursor that goes on behind key.
func Next(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// ByID is the input of routes about one thing.
type ByID struct {
	ID string `path:"id" maxLength:"200"`
}

// Match is the precondition of a write.
type Match struct {
	IfMatch string `header:"If-Match" maxLength:"100" doc:"rev of the resource, as its ETag gave it; absent or * = whatever is there"`
}

// Check compares the precondition with the present revision.
func (m *Match) Check(rev int64) error {
	if m.IfMatch == "" || m.IfMatch == "*" || m.IfMatch == ETag(rev) || m.IfMatch == strconv.FormatInt(rev, 10) {
		return nil
	}
	return fault.New(fault.Conflict, "It was changed in the meantime; read it again")
}

// ETag is the entity tag of a revision.
func ETag(rev int64) string { return `"` + strconv.FormatInt(rev, 10) + `"` }
