package script

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dop251/goja"
)

const (
	maxLogLine  = 8 << 10 // bytes that one call of console writes to the log
	maxLogLines = 1000    // of one turn, so that a loop fills no disk
)

// consoleClass writes to the log, with the script's name and line.
var consoleClass = &class{
	name: "console",
	methods: map[string]method{
		"debug": consoleMethod(slog.LevelDebug),
		"log":   consoleMethod(slog.LevelInfo),
		"info":  consoleMethod(slog.LevelInfo),
		"warn":  consoleMethod(slog.LevelWarn),
		"error": consoleMethod(slog.LevelError),
		"trace": consoleMethod(slog.LevelDebug),
	},
}

func newConsole(vm *VM) goja.Value { return vm.newNative(consoleClass, nil).self }

func consoleMethod(level slog.Level) method {
	return func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
		if vm.turn.lines++; vm.turn.lines > maxLogLines {
			if vm.turn.lines == maxLogLines+1 && vm.host != nil {
				vm.host.Log().Warn("a turn wrote more lines with console: the rest is left out", "lines", maxLogLines, "at", vm.caller())
			}
			return goja.Undefined()
		}
		in := inspector{vm: vm}
		in.format(call.Arguments)
		text := string(in.out)
		if len(text) > maxLogLine {
			text = strings.ToValidUTF8(text[:maxLogLine], "") + "…"
		}
		attrs := []slog.Attr{slog.String("at", vm.caller())}
		log := vm.set.options.Log
		if vm.host != nil {
			log = vm.host.Log()
		} else {
			vm.asked = true
		}
		log.LogAttrs(context.Background(), level, text, attrs...)
		return goja.Undefined()
	}
}

// caller is the position in a script that called a host function.
func (vm *VM) caller() string {
	f := vm.callerFrame()
	if p := f.Position(); p.Filename != "" && p.Line > 0 {
		return fmt.Sprintf("%s:%d:%d", p.Filename, p.Line, p.Column)
	}
	return ""
}

// callerFrame is the innermost frame of a script. Its position costs a look into
// the source map, so who may not need it keeps the frame.
func (vm *VM) callerFrame() goja.StackFrame {
	for _, f := range vm.rt.CaptureCallStack(8, nil) {
		if inScript(f.SrcName()) {
			return f
		}
	}
	return goja.StackFrame{}
}
