// Package lock keeps omniroute.plugins.lock: which plugins were installed, with
// which content, and what each of them may do.
//
//	f, err := lock.Read(path)                     // an absent file is an empty one
//	e := f.Find("acme/acme-llm")
//	err = lock.Update(path, func(f *lock.File) error { f.Put(entry); return nil })
//
// The file is YAML and meant to be kept under version control. An entry with
// digests pins a plugin to that content; one without was frozen when a file was
// dropped into the plugin folder, and only limits what it may do.
package lock
