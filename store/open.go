package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"chat.example.com.ai/runtime/failpoint"
)

// FileName is the database's name in the data folder.
const FileName = "chat.db"

// lockName is that of the file that one process at a time has locked.
const lockName = "chat.lock"

// SocketName is that of the socket on which a program answers commands: see package admin.
const SocketName = "chat.sock"

const (
	// defaultMaxGroup bounds the batches of one transaction: at some 50 µs each
	// the first of them waits at most about 13 ms for the last, and a refused
	// COMMIT takes no more than these with it.
	defaultMaxGroup = 256
	// maxReaders bounds the connections that read, so that many rooms that list
	// at once take turns instead of memory: each holds up to readerCacheKiB.
	maxReaders = 4
	// readerCacheKiB and writerCacheKiB are SQLite's page caches. The writer's
	// holds the upper levels of every index that a commit touches.
	readerCacheKiB = 4 << 10
	writerCacheKiB = 16 << 10
	// busyTimeout is for the one rival there can be: a tool that looks into the
	// database while the program runs.
	busyTimeout = 5 * time.Second
	// checkpointPages is how long the log grows, 16 MiB, before the writer copies it
	// into the database. Busy rooms write the same pages again and again, and only
	// their last state is copied: at SQLite's 1000 that took a fifth of the writer's
	// time. A longer log would be a longer pause each time.
	checkpointPages = 4000
	// DefaultCheckUpTo is the size of a database that is looked through at the start,
	// at 8 to 18 ms a MiB (BenchmarkCheck): about half a second at most.
	DefaultCheckUpTo = 32 << 20
	// walKeepBytes is what the log is cut back to after a big transaction.
	walKeepBytes = 64 << 20
)

// Options say where a store is and who watches it.
type Options struct {
	// Folder is the data folder, made if it is missing. It holds chat.db and the
	// file of the lock that keeps other processes out.
	Folder string
	// Memory opens a throw-away database for tests instead: files in the system's
	// folder for temporary ones, never synced, gone with Close. (A database purely
	// in memory makes readers wait for the writer, which no test should see.)
	Memory bool
	// Log takes what happens in the background; default slog.Default.
	Log *slog.Logger
	// Now is the clock of measurements; default time.Now.
	Now func() time.Time
	// BeforeCommit, if not nil, is called by the writer just before each COMMIT
	// and may block: a hook for tests.
	BeforeCommit func()
	// ObserveCommit, if not nil, is called by the writer after each transaction
	// with the number of batches in it and how long it took. It must not block.
	ObserveCommit func(batches int, took time.Duration)
	// ObserveRead, if not nil, is called with each statement that a read runs and its
	// parameters, on the reader's goroutine: for tests.
	ObserveRead func(statement string, args []any)
	// MaxGroup bounds the batches in one transaction; default 256, which keeps the
	// wait of the first for the last within some 15 ms.
	MaxGroup int
	// CheckUpTo is the size in bytes up to which a database is looked through for
	// damage when it is opened, DefaultCheckUpTo if 0; none is if it is negative.
	CheckUpTo int64
}

// Store is an open database. Its methods are safe for concurrent use.
type Store struct {
	opts      Options
	epoch     uint64
	seq       atomic.Int64
	ids       idMark
	idsFrom   int64
	lock      *flock.Flock // nil with Memory
	temporary string       // folder to remove at Close, with Memory

	writerDB *sql.DB
	conn     *sql.Conn // the writer's only one
	write    statements
	outage   outage
	indexes  *indexes

	reader *bun.DB
	cache  statementCache

	mu           sync.Mutex
	queue        []job
	groups       uint64 // that did not take the whole queue
	closing      bool
	ended        []int64 // deliveries that are done, not stored yet
	endsUnderWay []int64 // those of them that the last transaction stored, or is about to
	endDue       bool    // they are to be stored now
	endTimer     *time.Timer
	wake         chan struct{} // holds a token when the queue or the indexes have work
	stopped      chan struct{} // closed when the writer has ended

	closeOnce sync.Once
	closeErr  error
}

// Open opens or creates the database, brings its schema up to date, takes a new
// fencing token and starts the writer. It returns ErrLocked if another process
// has the folder, ErrRestoring if a restore was broken off, and an error that wraps
// ErrNewer if a later program wrote it, or ErrCorrupt if the database or its log is
// damaged as far as that can be seen.
// ctx is for opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.CheckUpTo = cmp.Or(opts.CheckUpTo, DefaultCheckUpTo)
	opts.MaxGroup = cmp.Or(max(opts.MaxGroup, 0), defaultMaxGroup)
	s := &Store{
		opts:    opts,
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		indexes: newIndexes(),
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	go s.run()
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	folder, err := s.prepareFolder()
	if err != nil {
		return err
	}
	path := filepath.Join(folder, FileName)
	if err := checkLog(path); err != nil {
		return err
	}
	if err := makePrivate(path); err != nil {
		return err
	}
	synchronous := failpoint.Synchronous("FULL") // a commit in the log is synced before it returns
	if s.opts.Memory {
		synchronous = "OFF"
	}
	s.writerDB, err = sql.Open("sqlite", dataSource(path, writerCacheKiB,
		"journal_mode(WAL)",
		"synchronous("+synchronous+")",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages),
		fmt.Sprintf("journal_size_limit(%d)", walKeepBytes)))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.writerDB.SetMaxOpenConns(1)
	if s.conn, err = s.writerDB.Conn(ctx); err != nil {
		return fmt.Errorf("store: open %s: %w", path, diagnose(err))
	}
	if err := s.checkSmall(ctx, path); err != nil {
		return err
	}
	if err := migrate(ctx, s.conn); err != nil {
		return err
	}
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	if err := s.raw(func(conn any) error { return s.write.prepare(ctx, conn) }); err != nil {
		return fmt.Errorf("store: prepare: %w", err)
	}
	if err := s.indexes.load(ctx, s.conn); err != nil {
		return fmt.Errorf("store: read the declared indexes: %w", err)
	}
	readerDB, err := sql.Open("sqlite", dataSource(path, readerCacheKiB, "query_only(1)"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	readerDB.SetMaxOpenConns(maxReaders)
	readerDB.SetMaxIdleConns(maxReaders)
	s.reader = bun.NewDB(readerDB, sqlitedialect.New())
	s.cache.db, s.cache.observe = readerDB, s.opts.ObserveRead
	return nil
}

func (s *Store) prepareFolder() (string, error) {
	if s.opts.Memory {
		folder, err := os.MkdirTemp("", "chat-")
		if err != nil {
			return "", fmt.Errorf("store: %w", err)
		}
		s.temporary = folder
		return folder, nil
	}
	if s.opts.Folder == "" {
		return "", errors.New("store: no data folder is given")
	}
	folder, err := filepath.Abs(s.opts.Folder)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if s.lock, err = lockFolder(folder); err != nil {
		return "", err
	}
	if present(filepath.Join(folder, restoringName)) {
		return "", ErrRestoring
	}
	return folder, nil
}

// makePrivate makes the file of a database that is not there yet: only its user may read
// it, in whose folder it may be. SQLite gives its log the same mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return file.Close()
}

// lockFolder makes a data folder if it is missing, and takes its lock.
func lockFolder(folder string) (*flock.Flock, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("store: make the data folder: %w", err)
	}
	lock := flock.New(filepath.Join(folder, lockName))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("store: lock the data folder: %w", err)
	}
	if !got {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrLocked, folder), lock.Close())
	}
	return lock, nil
}

// dataSource names the database file to the driver. As a URL, because a folder
// may be called anything, question marks included.
func dataSource(path string, cacheKiB int, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' { // C:/data
		path = "/" + path
	}
	query := url.Values{"_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"foreign_keys(0)",
		"temp_store(MEMORY)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// takeOver raises the epoch, which fences off whoever had the database before,
// and finds the next free position of the outbox and the time that no id has reached.
func (s *Store) takeOver(ctx context.Context) error {
	if err := s.conn.QueryRowContext(ctx, "UPDATE owner SET epoch = epoch + 1 RETURNING epoch, ids_until").Scan(&s.epoch, &s.idsFrom); err != nil {
		return fmt.Errorf("store: take the fencing token: %w", err)
	}
	var last int64
	if err := s.conn.QueryRowContext(ctx, `SELECT max(
		coalesce((SELECT max(seq) FROM outbox), 0),
		coalesce((SELECT max(seq) FROM dead_letter), 0))`).Scan(&last); err != nil {
		return fmt.Errorf("store: read the end of the outbox: %w", err)
	}
	s.seq.Store(last)
	s.ids.stored = s.idsFrom
	return nil
}

// Close commits what is queued, stops the writer and closes the database. Batches
// that come later fail with ErrClosed. Further calls return the same error.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closing = true
		s.mu.Unlock()
		s.signal()
		<-s.stopped
		s.closeErr = s.release()
	})
	return s.closeErr
}

// release closes whatever open has opened so far.
func (s *Store) release() error {
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.cache.close(), s.reader.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.raw(func(any) error { return s.write.close() }), s.conn.Close())
	}
	if s.writerDB != nil {
		errs = append(errs, s.writerDB.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.temporary != "" {
		errs = append(errs, os.RemoveAll(s.temporary))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// Epoch is the fencing token of this process: one more than that of the process
// that had the database before.
func (s *Store) Epoch() uint64 { return s.epoch }

// NextSeq takes the next position of the outbox. Positions grow, from above the
// highest that Open found; one that is never committed is a gap, nothing more.
func (s *Store) NextSeq() int64 { return s.seq.Add(1) }
