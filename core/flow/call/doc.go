// Package call is the value that travels through the stages of the flow.
//
// A [Call] is made by accept and only grows: each stage fills in its part and
// reads what came before. It belongs to one goroutine at a time. The package
// also names the little that stages say to each other: an [Answer] that execute
// leaves for render, [Events] that are pulled from it, and the [Client] that
// takes the rendered bytes.
package call
