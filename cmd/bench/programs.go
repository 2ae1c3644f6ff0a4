package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// anyPort is where the servers listen that are started here.
const anyPort = "127.0.0.1:0"

// programs are the servers, built from this checkout.
type programs struct {
	root   string // of the checkout
	folder string // of the built programs, and of what they keep
	kept   int    // folders made so far
}

// buildPrograms builds the servers. remove must be called.
func buildPrograms(ctx context.Context, progress io.Writer) (*programs, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "chat-bench-")
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "building")
	if err := build(ctx, root, folder, "./cmd/runtime", "./cmd/bench"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return &programs{root: root, folder: folder}, nil
}

func (p *programs) remove() error { return os.RemoveAll(p.folder) }

// newFolder makes an empty folder, which remove removes.
func (p *programs) newFolder() (string, error) {
	p.kept++
	folder := filepath.Join(p.folder, fmt.Sprintf("folder-%d", p.kept))
	return folder, os.Mkdir(folder, 0o755)
}

// script makes a folder of one script.
func (p *programs) script(text string) (string, error) {
	folder, err := p.newFolder()
	if err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "bench.js"), []byte(text), 0o644)
}

// shipped is the folder of the chat's own scripts.
func (p *programs) shipped() string { return filepath.Join(p.root, "scripts") }

// server is one that can be started.
type server struct {
	name    string
	command string
	args    []string
}

// chat is the runtime with a folder of scripts and a folder of data.
func (p *programs) chat(name, scripts, data string, flags ...string) server {
	args := append([]string{"--addr", anyPort, "--scripts", scripts, "--data", data}, flags...)
	return server{name, filepath.Join(p.folder, "runtime"), args}
}

// attendedBinary builds the chat as it is where there is no epoll: a goroutine for
// each socket.
func (p *programs) attendedBinary(ctx context.Context) (string, error) {
	folder, err := p.newFolder()
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "runtime"), build(ctx, p.root, folder, "-tags=noepoll", "./cmd/runtime")
}

func (p *programs) baseline() server {
	return server{"baseline", filepath.Join(p.folder, "bench"), []string{"baseline", "--addr", anyPort}}
}

// pair is the chat as it is shipped, with new data, and the baseline.
func (p *programs) pair(flags ...string) ([]server, error) {
	data, err := p.newFolder()
	if err != nil {
		return nil, err
	}
	return []server{p.chat("runtime", p.shipped(), data, flags...), p.baseline()}, nil
}

// with starts a server, lets f measure it and stops it.
func (s server) with(ctx context.Context, f func(target) error) error {
	p, err := startProcess(ctx, s.command, s.args...)
	if err != nil {
		return err
	}
	err = f(target{s.name, p.addr, p.pid, p.tls})
	stopped := p.stop()
	if ctx.Err() == nil { // an interrupt from a terminal reaches both: then it may have ended first
		err = errors.Join(err, stopped)
	}
	return err
}
