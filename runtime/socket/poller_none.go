//go:build !linux || noepoll

package socket

import (
	"errors"
	"net"
)

// poller is nothing where there is no epoll: no socket is parked there, so all but
// newPoller is never called.
type poller struct{}

func newPoller(*Server) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) push(job)                      {}
func (*poller) arm(int32, uint8, place) error { return errors.ErrUnsupported }
func (*poller) drop(int32)                    {}
func (*poller) close()                        {}
func (*Socket) detach(net.Conn) int32         { return -1 }
func readOnce(int32, []byte) (int, error)     { return 0, errors.ErrUnsupported }
func shutWrite(int32) error                   { return errors.ErrUnsupported }
