package policy

// hash64 is FNV-1a followed by the 64-bit finaliser of MurmurHash3. FNV alone
// orders texts that differ in their last byte almost always the same way, which
// would make rendezvous hashing lopsided. The parts are hashed as one text.
func hash64(parts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range parts {
		for i := 0; i < len(s); i++ {
			h ^= uint64(s[i])
			h *= 1099511628211
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

// random is a number in [0,1) drawn by (request id, salt): the same draw gives
// the same number, so a decision can be replayed.
func random(requestID, salt string) float64 {
	return float64(hash64(requestID, "\x00", salt)>>11) / (1 << 53)
}
