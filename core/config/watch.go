package config

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/omniroute/omniroute/core/fault"
)

// WatchOptions is what Watch needs beside Options.
type WatchOptions struct {
	Options
	// Current is the snapshot in use; equal content is not reported again.
	Current *Snapshot
	// Debounce is the quiet time after the last event; 0 = 250 ms.
	Debounce time.Duration
	// After is the clock; nil = time.After.
	After func(time.Duration) <-chan time.Time
	// OnChange gets each new result: a snapshot, or diagnostics and nil.
	OnChange func(*Snapshot, []fault.Diagnostic)
}

// maxRestarts bounds how often events start the quiet time anew: a file beside the
// watched one that is written all the time (a log, say) must not put off the look at
// it for ever.
const maxRestarts = 40

// Watch reports changes of the file and its includes until ctx ends. It watches
// directories, because editors replace files. What changed between the loading of
// Current and the start of Watch is reported too. A broken edit is reported once;
// Current stays what new content is compared with.
func Watch(ctx context.Context, opt WatchOptions) error {
	if opt.Debounce <= 0 {
		opt.Debounce = 250 * time.Millisecond
	}
	if opt.After == nil {
		opt.After = time.After
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("config: watch: %w", err)
	}
	defer w.Close()
	watched := map[string]bool{}
	files := []string{FileName}
	if opt.Path != "" {
		files = []string{opt.Path}
	}
	if opt.Current != nil {
		files = append(files, opt.Current.Files...)
	}
	add(w, watched, files)

	hash := ""
	if opt.Current != nil {
		hash = opt.Current.Hash
	}
	last := "" // text of the last problems, so that they are told once
	var due <-chan time.Time
	restarts := 0
	wait := func() {
		if restarts++; restarts <= maxRestarts { // each event starts the quiet time anew
			due = opt.After(opt.Debounce)
		}
	}
	reload := func() {
		snap, diags := Load(opt.Options)
		switch {
		case snap == nil:
			if text := fmt.Sprint(diags); text != last {
				last = text
				opt.OnChange(nil, diags)
			}
		case snap.Hash != hash || last != "":
			hash, last = snap.Hash, ""
			add(w, watched, snap.Files)
			opt.OnChange(snap, nil)
		}
	}
	wait() // there are no events for edits made before the watcher stood
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
			wait()
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			if err != nil { // events may have been lost: look for ourselves
				wait()
			}
		case <-due:
			due, restarts = nil, 0
			reload()
		}
	}
}

// add watches the directories of files and patterns. A directory that does not
// exist is left out until a later snapshot names it again; its nearest existing
// parent is watched so that its creation is seen.
func add(w *fsnotify.Watcher, watched map[string]bool, files []string) {
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		for !watched[dir] {
			if w.Add(dir) == nil {
				watched[dir] = true
				break
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
}
