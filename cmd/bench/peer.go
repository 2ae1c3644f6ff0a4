package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Limits of a client.
const (
	connectTimeout = 30 * time.Second // for connecting and the handshake
	clientBuffer   = 1 << 10          // bytes to read into: a message or two, and any line of the handshake
	maxHeaders     = 50               // lines of the answer to the handshake
	maxPayload     = 2 << 20          // bytes of a frame; both servers send at most 1 MiB
)

// A client always asks with the same key, and so the answer is always the same:
// those of RFC 6455, section 1.3.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAnswer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// perAddress is how many sockets leave from one address of this machine: Linux
// has 28,000 ports towards one server. On loopback there are more addresses.
const perAddress = 20_000

// Opcodes of RFC 6455, section 5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// peer is one client's socket. It is as little of a WebSocket as a load needs, so
// that many of them leave the machine to the server.
type peer struct {
	number  int // in its fleet
	fleet   *fleet
	conn    net.Conn
	writing sync.Mutex // a load sends while the reader answers pings
	greeted bool       // of its reader
}

// open connects to ws://addr/path, or to wss:. What comes then is in the reader.
func (p *peer) open(ctx context.Context, addr string, secure bool, path string) (*bufio.Reader, error) {
	// Probes of idle sockets would be work for the machine that is measured.
	dialer := net.Dialer{Timeout: connectTimeout, LocalAddr: source(addr, p.number), KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, anyCertificate())
	}
	in := bufio.NewReaderSize(conn, clientBuffer)
	if err := p.shakeHands(ctx, conn, in, addr, path); err != nil {
		_ = conn.Close()
		return nil, err
	}
	p.conn = conn
	return in, nil
}

func (p *peer) shakeHands(ctx context.Context, conn net.Conn, in *bufio.Reader, addr, path string) error {
	if err := conn.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer release()
	request := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	if err := readAnswer(in); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return conn.SetDeadline(time.Time{})
}

// readAnswer reads a server's answer to the handshake.
func readAnswer(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	status := strings.TrimSpace(string(line))
	if !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return fmt.Errorf("the server answers %q", status)
	}
	accepted := false
	for range maxHeaders {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			if !accepted {
				return errors.New("the server answers 101 without the key that it was asked with")
			}
			return nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if strings.EqualFold(string(name), "Sec-WebSocket-Accept") {
			accepted = string(bytes.TrimSpace(value)) == handshakeAnswer
		}
	}
	return errors.New("the server answers with too many headers")
}

// source is the address that socket number n leaves from; nil is any.
func source(addr string, n int) net.Addr {
	server, err := netip.ParseAddrPort(addr)
	if n < perAddress || err != nil || !server.Addr().Is4() || !server.Addr().IsLoopback() {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n/perAddress))}
}

// read takes what the server sends until the socket ends.
func (p *peer) read(in *bufio.Reader) {
	defer p.conn.Close()
	for {
		opcode, payload, err := readFrame(in)
		if err != nil {
			p.fleet.ended()
			return
		}
		switch opcode {
		case opText, opBinary:
			p.fleet.take(p, payload)
		case opPing:
			_ = p.write(opPong, payload) // if it fails, so does the next read
		case opClose:
			_ = p.write(opClose, payload[:min(2, len(payload))]) // the code, without the reason
		}
	}
}

// readFrame reads a whole frame of a server. The payload holds until the next read.
func readFrame(in *bufio.Reader) (opcode byte, payload []byte, err error) {
	head, err := take(in, 2)
	if err != nil {
		return 0, nil, err
	}
	opcode = head[0] & 0xF
	size := uint64(head[1])
	if head[0]&^0xF != 0x80 || size > 127 {
		return 0, nil, errors.New("a frame that is masked, compressed, or not all of its message")
	}
	switch size {
	case 126:
		if head, err = take(in, 2); err == nil {
			size = uint64(binary.BigEndian.Uint16(head))
		}
	case 127:
		if head, err = take(in, 8); err == nil {
			size = binary.BigEndian.Uint64(head)
		}
	}
	if err == nil && size > maxPayload {
		err = fmt.Errorf("a frame of %d bytes", size)
	}
	if err != nil {
		return 0, nil, err
	}
	payload, err = take(in, int(size))
	return opcode, payload, err
}

// take reads n bytes. They are the reader's own if it has room for them.
func take(in *bufio.Reader, n int) ([]byte, error) {
	if n > in.Size() {
		b := make([]byte, n)
		_, err := io.ReadFull(in, b)
		return b, err
	}
	b, err := in.Peek(n)
	if err == nil {
		_, err = in.Discard(n) // they stay where they are until more is read
	}
	return b, err
}

// write sends a frame of at most 64 KiB. The mask is all zeros: the server has to
// apply it all the same.
func (p *peer) write(opcode byte, payload []byte) error {
	const masked = 0x80
	frame := make([]byte, 0, 8+len(payload))
	frame = append(frame, 0x80|opcode)
	if n := len(payload); n < 126 {
		frame = append(frame, masked|byte(n))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, masked|126), uint16(n))
	}
	frame = append(frame, 0, 0, 0, 0)
	frame = append(frame, payload...)
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.conn.Write(frame)
	return err
}
