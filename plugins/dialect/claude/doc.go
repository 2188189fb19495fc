// Package claude is the dialect of the Anthropic Messages API.
package claude
