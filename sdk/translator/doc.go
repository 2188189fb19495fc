// Package translator makes module parts that translate between wire formats:
// [Of] whole dialects, [Between] one pair of formats by functions.
package translator
