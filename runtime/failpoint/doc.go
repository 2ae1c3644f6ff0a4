// Package failpoint ends the process at named places, as a power cut would, for
// tests of what holds then. In a build without the tag failpoint, which is every
// build but that of those tests, its functions do nothing and are compiled away.
//
// With the tag, the environment says where, and at which time that the place is
// reached:
//
//	CHAT_FAILPOINT=before-commit:17   SIGKILL before the 17th COMMIT
//	CHAT_SYNCHRONOUS=NORMAL           commits return before they are synced
//
// The places are BeforeCommit, AfterCommit, Release and Migration. Functions may be
// called from any goroutine.
package failpoint

// Places.
const (
	BeforeCommit = "before-commit" // a transaction is written, and not committed
	AfterCommit  = "after-commit"  // it is durable, and nobody has been told
	Release      = "release"       // before a socket gets what was sent: others may have it
	Migration    = "migration"     // before, within and after each step of a migration
)
