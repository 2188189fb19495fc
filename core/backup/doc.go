// Package backup writes what a gateway knows into one encrypted file and reads it
// back, on this machine or another one.
//
//	m, err := backup.Write(ctx, file, backup.Source{Store: store, Files: files}, backup.StorageKey(key))
//	m, err := backup.Read(ctx, file, key, nil)       // verifies
//	m, err := backup.Read(ctx, file, key, sink)      // restores
//
// The file (format omniroute-backup-v1) is a header in clear, which says how the
// key is derived and nothing else, and a tar archive, compressed with zstd and
// sealed with AES-256-GCM in chunks. Its members are the entries of the store in
// pieces, the files that were asked for, and at the end a manifest with counts and
// a SHA-256 of each member. The entries are one consistent snapshot: a gateway
// goes on serving while it is taken.
//
// The key comes from the storage key, so that a backup is as safe as the data
// itself, or from a passphrase, so that it can be read where that key is not.
package backup
