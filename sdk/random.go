package sdk

// splitmix is the generator that turns a call's seed into random bits
// (Steele, Lea, Flood 2014), the same natively and in wasm.
func splitmix(state *uint64) uint64 {
	*state += 0x9E3779B97F4A7C15
	z := *state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Splitmix returns a random source for a seed, as guests derive it. Native
// tests use it to get the bytes a wasm guest would produce.
func Splitmix(seed uint64) func() uint64 {
	return func() uint64 { return splitmix(&seed) }
}
