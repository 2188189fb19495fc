package state

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
)

// checkTables reads the end of every table file in dir. The engine opens tables in
// goroutines of its own and panics over one whose index is damaged, which nobody
// could catch; so that is found here first.
func checkTables(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := checkTable(path); err != nil {
			return fmt.Errorf("%w: table %s: %w", ErrDamaged, filepath.Base(path), err)
		}
	}
	return nil
}

// checkTable verifies the index of a table: at the end of the file stand the
// index, its length, its checksum and the length of that.
func checkTable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	tail := func(n int64) ([]byte, error) {
		if n < 0 || n > end {
			return nil, fmt.Errorf("it ends too early")
		}
		end -= n
		buf := make([]byte, n)
		_, err := f.ReadAt(buf, end)
		return buf, err
	}
	length := func() (int64, error) {
		raw, err := tail(4)
		if err != nil {
			return 0, err
		}
		return int64(binary.BigEndian.Uint32(raw)), nil
	}
	n, err := length()
	if err != nil {
		return err
	}
	if n == 0 || n > 64 {
		return fmt.Errorf("its end is not that of a table")
	}
	raw, err := tail(n)
	if err != nil {
		return err
	}
	sum, ok := readChecksum(raw)
	if !ok {
		return fmt.Errorf("its checksum cannot be read")
	}
	if n, err = length(); err != nil {
		return err
	}
	index, err := tail(n)
	if err != nil {
		return err
	}
	return y.VerifyChecksum(index, sum)
}

// readChecksum reads the protocol buffer of a checksum: 1 = algorithm, 2 = sum.
func readChecksum(raw []byte) (*pb.Checksum, bool) {
	sum := &pb.Checksum{}
	for len(raw) > 0 {
		tag := raw[0]
		v, n := binary.Uvarint(raw[1:])
		if n <= 0 {
			return nil, false
		}
		raw = raw[1+n:]
		switch tag {
		case 1 << 3:
			sum.Algo = pb.Checksum_Algorithm(v)
		case 2 << 3:
			sum.Sum = v
		default:
			return nil, false
		}
	}
	return sum, sum.Algo == pb.Checksum_CRC32C || sum.Algo == pb.Checksum_XXHash64
}
