package socket

import (
	"encoding/binary"
	"math"
)

// header is a frame header of RFC 6455, section 5.2.
type header struct {
	size   int    // bytes of the header itself
	length uint64 // bytes of the payload
	first  byte   // FIN, reserved bits, opcode
	second byte   // MASK and the length's code
}

// parseHeader reads the header at the beginning of data. It reports false if not
// all of it is there.
func parseHeader(data []byte) (h header, ok bool) {
	if len(data) < 2 {
		return h, false
	}
	h = header{size: 2, first: data[0], second: data[1]}
	code := data[1] & 0x7F
	switch code {
	case 126:
		h.size += 2
	case 127:
		h.size += 8
	}
	extended := h.size
	if h.masked() {
		h.size += 4
	}
	if len(data) < h.size {
		return h, false
	}
	switch code {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(data[2:extended]))
	case 127:
		h.length = binary.BigEndian.Uint64(data[2:extended])
	default:
		h.length = uint64(code)
	}
	return h, true
}

func (h header) opcode() byte  { return h.first & 0x0F }
func (h header) fin() bool     { return h.first&0x80 != 0 }
func (h header) masked() bool  { return h.second&0x80 != 0 }
func (h header) control() bool { return h.opcode() > opBinary }

// wrong reports that the header alone breaks the protocol, so that its payload
// need not be awaited. What is wrong is the parser's to say.
func (h header) wrong(maxPayload int) bool {
	return h.length > uint64(maxPayload) || h.first&0x70 != 0 || !h.masked() ||
		h.control() && (!h.fin() || h.second&0x7F > 125)
}

// unreadable reports a length that the parser would take for a negative number.
func (h header) unreadable() bool { return h.length > math.MaxInt64 }

// unmask returns a frame's payload in clear, in the frame's own memory.
func (h header) unmask(frame []byte) []byte {
	key, payload := frame[h.size-4:h.size], frame[h.size:]
	for i := range payload {
		payload[i] ^= key[i&3]
	}
	return payload
}

// clientFrame encodes a frame as a client would, with a mask that changes nothing.
func clientFrame(first byte, payload []byte) []byte {
	return append(clientHeader(first, len(payload)), payload...)
}

// clientHeader is the header of clientFrame.
func clientHeader(first byte, length int) []byte {
	b := make([]byte, 0, maxHeader+length)
	b = append(b, first)
	switch {
	case length <= 125:
		b = append(b, 0x80|byte(length))
	case length <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(length))
	}
	return append(b, 0, 0, 0, 0)
}

// maxHeader is the largest frame header: 2 bytes, 8 of length, 4 of mask.
const maxHeader = 14
