package e2e

import "slices"

// specialRows are the providers with executors of their own.
func specialRows() []*providerRow { return slices.Concat(codeRows(), ideRows()) }
