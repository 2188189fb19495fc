// Package canonicalize is the second stage of the flow: it turns the bytes of a
// client request into what the others work with.
//
// [Stage.Run] validates the body and takes its long strings out (core/doc), and
// reads the request facts that rules see, natively, from the skeleton. It is
// lazy about the rest: Call.Hub makes the hub document by a translator plugin
// when the first target that needs it is tried, once.
package canonicalize
