package oauth

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
)

// cursorState reads the credential out of the state file of Cursor on this
// machine: an SQLite database with one table of keys and values. What the program
// has not yet moved from its journal into the file is not seen.
func cursorState(home string) (access, machine string, err error) {
	found, err := sqliteValues(cursorDir(home), "itemtable", "cursorAuth/accessToken", "storage.serviceMachineId")
	if errors.Is(err, os.ErrNotExist) || err == nil && found["cursorAuth/accessToken"] == "" {
		return "", "", &Error{Status: 404, Code: "not_found", Text: "there is no login of the Cursor program on this machine"}
	}
	if err != nil {
		return "", "", &Error{Status: 422, Code: "unreadable", Text: "the state of the Cursor program cannot be read: " + err.Error()}
	}
	return unquoted(found["cursorAuth/accessToken"]), unquoted(found["storage.serviceMachineId"]), nil
}

var errSQLite = errors.New("the file is no SQLite database as expected")

// sqlite reads tables of a database file (https://www.sqlite.org/fileformat2.html).
type sqlite struct {
	file   io.ReaderAt
	page   int // size in bytes
	usable int
	budget int // pages that may still be read: damaged files have loops
}

// sqliteValues reads keys of a table whose first two columns are key and value.
func sqliteValues(path, table string, keys ...string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return sqliteRead(f, info.Size(), table, keys)
}

func sqliteRead(f io.ReaderAt, size int64, table string, keys []string) (map[string]string, error) {
	var head [100]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:16]) != "SQLite format 3\x00" {
		return nil, errSQLite
	}
	db := &sqlite{file: f, page: int(binary.BigEndian.Uint16(head[16:]))}
	if db.page == 1 {
		db.page = 65536
	}
	db.usable = db.page - int(head[20])
	if db.page < 512 || db.usable < 480 {
		return nil, errSQLite
	}
	db.budget = 2 * (int(size/int64(db.page)) + 1) // two tables, each page once
	root := int64(0)
	err := db.walk(1, func(row []any) bool { // sqlite_schema: type, name, tbl_name, rootpage, sql
		if len(row) >= 4 && row[0] == "table" {
			if name, _ := row[1].(string); strings.EqualFold(name, table) {
				root, _ = row[3].(int64)
			}
		}
		return root == 0
	})
	if err != nil || root == 0 {
		return nil, errors.Join(err, errSQLite)
	}
	found := map[string]string{}
	err = db.walk(root, func(row []any) bool {
		if len(row) >= 2 {
			key, _ := row[0].(string)
			value, _ := row[1].(string)
			for _, want := range keys {
				if key == want {
					found[key] = value
				}
			}
		}
		return len(found) < len(keys)
	})
	return found, err
}

func (db *sqlite) read(number int64) ([]byte, error) {
	if db.budget--; db.budget < 0 || number < 1 {
		return nil, errSQLite
	}
	buf := make([]byte, db.page)
	if _, err := db.file.ReadAt(buf, (number-1)*int64(db.page)); err != nil {
		return nil, errSQLite
	}
	return buf, nil
}

// walk visits the rows of a table b-tree until visit returns false.
func (db *sqlite) walk(number int64, visit func([]any) bool) error {
	_, err := db.node(number, 0, visit)
	return err
}

func (db *sqlite) node(number int64, depth int, visit func([]any) bool) (more bool, err error) {
	page, err := db.read(number)
	if err != nil || depth > 30 {
		return false, errors.Join(err, errSQLite)
	}
	at := 0
	if number == 1 {
		at = 100
	}
	kind, cells := page[at], int(binary.BigEndian.Uint16(page[at+3:]))
	pointers := at + 8
	if kind == 5 {
		pointers += 4
	}
	if kind != 5 && kind != 13 || pointers+2*cells > len(page) {
		return false, errSQLite
	}
	for i := range cells {
		cell := int(binary.BigEndian.Uint16(page[pointers+2*i:]))
		if cell+4 > len(page) {
			return false, errSQLite
		}
		if kind == 5 {
			if more, err = db.node(int64(binary.BigEndian.Uint32(page[cell:])), depth+1, visit); err != nil || !more {
				return more, err
			}
			continue
		}
		payload, err := db.payload(page, cell)
		if err != nil {
			return false, err
		}
		if row, ok := sqliteRow(payload); ok && !visit(row) {
			return false, nil
		}
	}
	if kind == 5 {
		return db.node(int64(binary.BigEndian.Uint32(page[at+8:])), depth+1, visit)
	}
	return true, nil
}

// payload gathers the record of a leaf cell, overflow pages included.
func (db *sqlite) payload(page []byte, at int) ([]byte, error) {
	size, n := sqliteVarint(page[at:])
	_, m := sqliteVarint(page[min(at+n, len(page)):])
	at += n + m
	if n == 0 || m == 0 || size > 16<<20 || size < 0 {
		return nil, errSQLite
	}
	local, most := int(size), db.usable-35
	if local > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (int(size)-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if at+local > len(page) {
		return nil, errSQLite
	}
	out := append([]byte(nil), page[at:at+local]...)
	if local == int(size) {
		return out, nil
	}
	if at+local+4 > len(page) {
		return nil, errSQLite
	}
	next := int64(binary.BigEndian.Uint32(page[at+local:]))
	for len(out) < int(size) {
		over, err := db.read(next)
		if err != nil {
			return nil, err
		}
		next = int64(binary.BigEndian.Uint32(over))
		out = append(out, over[4:4+min(int(size)-len(out), db.usable-4)]...)
	}
	return out, nil
}

// sqliteRow decodes a record: texts and blobs as strings, numbers as int64.
func sqliteRow(p []byte) (row []any, ok bool) {
	head, n := sqliteVarint(p)
	if n == 0 || head < int64(n) || head > int64(len(p)) {
		return nil, false
	}
	types, data := p[n:head], p[head:]
	for len(types) > 0 {
		t, n := sqliteVarint(types)
		if n == 0 {
			return nil, false
		}
		types = types[n:]
		size := [...]int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}
		length := int64(0)
		switch {
		case t >= 12:
			length = (t - 12) / 2
		case t >= 0 && t < int64(len(size)):
			length = size[t]
		}
		if length < 0 || length > int64(len(data)) {
			return nil, false
		}
		value := data[:length]
		data = data[length:]
		switch {
		case t >= 12:
			row = append(row, string(value))
		case t >= 1 && t <= 6:
			number := int64(0)
			for _, b := range value {
				number = number<<8 | int64(b)
			}
			row = append(row, number)
		case t == 9:
			row = append(row, int64(1))
		case t == 8:
			row = append(row, int64(0))
		default:
			row = append(row, nil)
		}
	}
	return row, true
}

// sqliteVarint reads a number of one to nine bytes; n is 0 if it is cut.
func sqliteVarint(p []byte) (v int64, n int) {
	for i := range min(len(p), 9) {
		if i == 8 {
			return v<<8 | int64(p[i]), 9
		}
		v = v<<7 | int64(p[i]&0x7f)
		if p[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
