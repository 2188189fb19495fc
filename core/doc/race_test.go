//go:build race

package doc

// raceEnabled: sync.Pool drops values at random under the race detector.
const raceEnabled = true
