package socket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// Close codes that this package itself sends or reports.
const (
	CodeGoingAway     uint16 = 1001 // the server shuts down
	CodeProtocolError uint16 = 1002 // the peer broke the framing rules
	CodeNoStatus      uint16 = 1005 // never sent: the peer's close frame had no code
	CodeAbnormal      uint16 = 1006 // never sent: the connection ended without a close frame
	CodeInvalidText   uint16 = 1007 // a text message or close reason was not UTF-8
	CodeTooBig        uint16 = 1009 // a message was over Config.MaxMessage
	CodePolicy        uint16 = 1008 // a message took too long to come, or who sends it is known no more
	CodeTryLater      uint16 = 1013 // the peer reads slower than it is sent to, or we are short of memory
)

// Reasons that go with the codes above.
const (
	ReasonGoingAway   = "going away"
	ReasonSlow        = "slow reader"
	ReasonSlowMessage = "message took too long"
	ReasonExpired     = "token expired"
	ReasonBusy        = "too many unfinished messages"
	ReasonAbnormal    = "WebSocket disconnected without sending Close frame."
)

// maxReason is what RFC 6455 leaves for a reason: 125 bytes in a control
// frame, less 2 for the code.
const maxReason = 123

// Frame is a message encoded for the wire: once, for any number of sockets.
// It is immutable and safe for concurrent use.
type Frame struct {
	wire []byte
}

// NewFrame encodes one whole message, unfragmented and uncompressed. It copies
// data. A text must be valid UTF-8: that is the caller's to see to.
func NewFrame(text bool, data []byte) *Frame {
	if text {
		return encode(opText, data)
	}
	return encode(opBinary, data)
}

// Len is the size on the wire in bytes, header included.
func (f *Frame) Len() int { return len(f.wire) }

func encode(opcode byte, data []byte) *Frame {
	n := len(data)
	var head [10]byte
	head[0] = 0x80 | opcode // 0x80: the last frame of its message
	size := 2
	switch {
	case n <= 125:
		head[1] = byte(n)
	case n <= 0xFFFF:
		head[1] = 126
		binary.BigEndian.PutUint16(head[2:], uint16(n))
		size = 4
	default:
		head[1] = 127
		binary.BigEndian.PutUint64(head[2:], uint64(n))
		size = 10
	}
	wire := make([]byte, size+n)
	copy(wire, head[:size])
	copy(wire[size:], data)
	return &Frame{wire: wire}
}

// closeFrame encodes a close. Codes that must not be on the wire (0, 1005,
// 1006) make one without a code. A reason that is too long is cut between
// characters, because an overlong control frame would break the connection.
func closeFrame(code uint16, reason string) *Frame {
	if code == 0 || code == CodeNoStatus || code == CodeAbnormal {
		return encode(opClose, nil)
	}
	if len(reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(reason)), code)
	return encode(opClose, append(payload, reason...))
}
