package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"chat.example.com.ai/runtime/failpoint"
)

// migrations are the steps from an empty database to the current schema, in the
// order of their names. One that has been shipped is never changed.
//
//go:embed migration/*.sql
var migrations embed.FS

// migrate brings the database to the current version. Each step and its version
// number are one transaction, so an interrupted upgrade goes on where it stopped.
func migrate(ctx context.Context, conn *sql.Conn) error {
	steps, err := migrations.ReadDir("migration")
	if err != nil {
		return err
	}
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("store: read the database's version: %w", err)
	}
	if version > len(steps) {
		return fmt.Errorf("%w: it has version %d, this program knows up to %d", ErrNewer, version, len(steps))
	}
	for i := version; i < len(steps); i++ {
		text, err := migrations.ReadFile("migration/" + steps[i].Name())
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.Migration)
		if err := migrateStep(ctx, conn, string(text), i+1); err != nil {
			return fmt.Errorf("store: migration %s: %w", steps[i].Name(), err)
		}
	}
	return nil
}

func migrateStep(ctx context.Context, conn *sql.Conn, text string, version int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	failpoint.Hit(failpoint.Migration)
	// a pragma takes no parameters
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	failpoint.Hit(failpoint.Migration)
	return tx.Commit()
}
