// Package cluster says where an object lives, and under which fencing token it
// is owned there. Nothing else knows that there can be more than one machine.
//
// Today there is one: every object lives here, and the token is the epoch that
// the store raised when this process opened it. A process that has lost the
// store to a later one finds its commits refused.
package cluster

import "chat.example.com.ai/runtime/key"

// Local places every object on this machine. It is safe for concurrent use.
type Local struct{ epoch uint64 }

// NewLocal returns the placement of a single machine that owns the given epoch.
func NewLocal(epoch uint64) *Local { return &Local{epoch: epoch} }

// Token is the fencing token under which this machine owns the object. Every
// batch of the object carries it to the store.
func (l *Local) Token(key.Key) uint64 { return l.epoch }
