// Package stream holds the machinery that stream translators share.
//
// [ThinkSplitter] takes reasoning out of text that carries it between think tags
// (W-4). [Sequencer] brings tool calls into the shape that client formats ask for:
// one call at a time (or side by side, for openai), started once with id and name,
// with arguments that form a JSON object (WC-2 to WC-4).
package stream
