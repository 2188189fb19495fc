// Package fault is the one door for errors of the gateway.
//
// Everything that can end a request, whether raised here or by an upstream,
// becomes an [*Error]: a catalogue [Code], the HTTP status the client gets, a
// [Class] and a [Scope] that tell policies, breakers and cooldowns what to
// blame, and a [Reason] from the vocabulary that policies test.
//
//	return fault.New(fault.ModelNotFound, "no model named "+strconv.Quote(name))
//	return fault.Wrap(fault.Database, err, "read key")
//
//	if e := fault.As(err); e != nil && e.Scope == fault.ScopeCredential { … }
//
// Every code, its status and its default text stand in one table, see
// [Catalogue]. Bodies in the client's own dialect are not made here.
//
// The package also reads what providers say about failures: [ReasonOf]
// classifies status and text, [RetryAfter] finds out how long to wait, and
// [ParseDuration] understands the ways in which they spell time.
//
// [Diagnostic] is the other kind of error, the one about a file: position,
// message and the offending line with a caret. Configuration and policies
// share it.
package fault
