package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// SQLite reads its log (chat.db-wal) up to the first frame that is not as it was
// written, and takes that for the place where a crash came in between. So it cannot
// tell a damaged log from an unfinished one, and would go on with an older state. Here
// is what tells them apart. The formats are those of sqlite.org/walformat.html.
const (
	walHeader      = 32
	walFrameHeader = 24
	shmHeader      = 48 // of the index of the log (chat.db-shm), twice
)

// logDamage says that commits which were on the disk are not in the log any more.
type logDamage struct{ path, what string }

func (e *logDamage) Error() string {
	return fmt.Sprintf("store: %v: %s %s: what it held was stored and would be missing (to go on without it: "+
		"sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)')", ErrCorrupt, e.path, e.what, e.path[:len(e.path)-len("-wal")])
}

func (e *logDamage) Unwrap() error { return ErrCorrupt }

// checkLog looks through the log that the last process has left, and returns a
// *logDamage if commits are missing. A database that is gone, while its log is not, is
// ErrCorrupt too. Nobody may have it open.
//
// A commit is synced before the next one is begun. So a frame that is wrong belongs to
// an unfinished transaction only if it is in the last one; if a transaction behind it
// was ended and another one begun, it was stored. And the index, which a process that
// was killed leaves behind, says how much of the log was synced when it was last
// written: maybe less, never more.
func checkLog(database string) error {
	path := database + "-wal"
	// The index first: a tool that copies the log elsewhere may be adding to both.
	index, err := os.ReadFile(database + "-shm")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	l := &walLog{}
	switch file, err := os.Open(path); {
	case err == nil:
		defer file.Close()
		if l, err = openLog(file); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: %w", err)
	}
	size := int64(0)
	if file, err := os.Stat(database); err == nil {
		size = file.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	if size < 512 && (size > 0 || l.size > walHeader) { // SQLite would begin a new one
		return fmt.Errorf("store: %w: %s has %d bytes, and is or was a database", ErrCorrupt, database, size)
	}
	synced, copied, salts := readLogIndex(index)
	if l.size <= walHeader {
		if synced > copied {
			return &logDamage{path, fmt.Sprintf("is empty or missing, and had frames that are not in the database yet (%d)", synced-copied)}
		}
		return nil
	}
	damage := l.missing(path, synced, salts)
	if l.err != nil {
		return fmt.Errorf("store: %w", l.err)
	}
	return damage
}

// missing returns a *logDamage if commits are missing in a log, of which so many frames
// were synced when it had these salts.
func (l *walLog) missing(path string, synced int, salts []byte) error {
	if !l.sound {
		if synced > 0 || l.belong() {
			return &logDamage{path, "has a damaged header"}
		}
		return nil
	}
	whole, bad := l.committed()
	if synced > whole && bytes.Equal(salts, l.salts()) {
		return &logDamage{path, fmt.Sprintf("is damaged or cut at frame %d of %d", bad+1, synced)}
	}
	for i := bad + 1; i < l.frames; i++ {
		if l.commits(i-1) && l.current(i) && l.chained(i) {
			return &logDamage{path, fmt.Sprintf("is damaged at frame %d, and commits follow", bad+1)}
		}
	}
	return nil
}

// walLog is a log on the disk, of which a part is in memory: it may have grown larger than
// that. Frames count from 0.
type walLog struct {
	file   *os.File
	size   int64
	header [walHeader]byte
	sound  bool             // the header is as it was written
	order  binary.ByteOrder // of the words that are summed up
	page   int
	frames int

	part  []byte // frames that are in memory
	first int    // of them
	err   error  // why the rest could not be read: then frames are zeros
}

// walPart is how many frames are in memory at a time: with SQLite's usual pages, 1 MiB.
const walPart = 256

// openLog reads the header of a log.
func openLog(file *os.File) (*walLog, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	l := &walLog{file: file, size: info.Size(), order: binary.LittleEndian, page: 4096} // SQLite's default, which nobody has changed here
	if l.size <= walHeader {
		return l, nil
	}
	if _, err := file.ReadAt(l.header[:], 0); err != nil {
		return nil, err
	}
	magic := binary.BigEndian.Uint32(l.header[:])
	if magic&1 != 0 {
		l.order = binary.BigEndian
	}
	if page := int(binary.BigEndian.Uint32(l.header[8:])); page >= 512 && page <= 64<<10 && page&(page-1) == 0 {
		l.page = page
	}
	l.frames = int((l.size - walHeader) / int64(walFrameHeader+l.page))
	l.sound = magic&^1 == 0x377f0682 && walSum(l.order, [2]uint32{}, l.header[:24]) == storedSum(l.header[24:])
	return l, nil
}

// belong reports whether the first frames were written one after the other, whatever
// the header says.
func (l *walLog) belong() bool {
	for _, l.order = range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if l.chained(1) {
			return true
		}
	}
	return false
}

func (l *walLog) salts() []byte { return l.header[16:24] }

// frame returns a frame, until the next one is asked for.
func (l *walLog) frame(i int) []byte {
	size := walFrameHeader + l.page
	if i < l.first || i >= l.first+len(l.part)/size {
		l.read(i)
	}
	at := (i - l.first) * size
	return l.part[at : at+size]
}

// read brings a frame into memory, with the one before it and those behind it.
func (l *walLog) read(i int) {
	size := walFrameHeader + l.page
	l.first = max(i-1, 0)
	n := min(walPart, l.frames-l.first) * size
	if cap(l.part) < n {
		l.part = make([]byte, n)
	}
	l.part = l.part[:n]
	if _, err := l.file.ReadAt(l.part, walHeader+int64(l.first)*int64(size)); err != nil && l.err == nil {
		l.err = err
		clear(l.part)
	}
}

// current reports whether a frame was written since the log was last begun anew.
func (l *walLog) current(i int) bool { return bytes.Equal(l.frame(i)[8:16], l.salts()) }

// commits reports whether a frame says that it is the last of its transaction.
func (l *walLog) commits(i int) bool {
	return l.current(i) && binary.BigEndian.Uint32(l.frame(i)[4:]) != 0
}

// chained reports whether a frame is as it was written behind the one before it. What
// that one's own page is like doesn't matter.
func (l *walLog) chained(i int) bool {
	if i >= l.frames {
		return false
	}
	before := storedSum(l.header[24:])
	if i > 0 {
		before = storedSum(l.frame(i - 1)[16:])
	}
	f := l.frame(i)
	sum := walSum(l.order, before, f[:8])
	return walSum(l.order, sum, f[walFrameHeader:]) == storedSum(f[16:24])
}

// committed counts the frames up to the last commit that SQLite will find, and tells
// the first frame at which it stops.
func (l *walLog) committed() (whole, bad int) {
	for ; bad < l.frames && l.current(bad) && l.chained(bad); bad++ {
		if l.commits(bad) {
			whole = bad + 1
		}
	}
	return whole, bad
}

func storedSum(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// walSum goes on with a sum over pairs of words.
func walSum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += order.Uint32(b) + sum[1]
		sum[1] += order.Uint32(b[4:]) + sum[0]
	}
	return sum
}

// readLogIndex returns how many frames of the log were synced, how many of them the
// database has too, and the salts of the log; 0 if the index is not whole. It is
// written in the machine's own order of bytes.
func readLogIndex(b []byte) (synced, copied int, salts []byte) {
	if len(b) < 2*shmHeader+4 || !bytes.Equal(b[:shmHeader], b[shmHeader:2*shmHeader]) || b[12] == 0 {
		return 0, 0, nil
	}
	native := binary.NativeEndian
	sum := walSum(native, [2]uint32{}, b[:40])
	if sum != [2]uint32{native.Uint32(b[40:]), native.Uint32(b[44:])} {
		return 0, 0, nil
	}
	return int(native.Uint32(b[16:])), int(native.Uint32(b[2*shmHeader:])), b[32:40]
}
