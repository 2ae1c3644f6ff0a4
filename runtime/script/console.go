package script

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dop251/goja"
)

// maxLogLine bounds what one call of console writes to the log.
const maxLogLine = 8 << 10

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
		var b strings.Builder
		for i, arg := range call.Arguments {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(vm.inspect(arg))
			if b.Len() > maxLogLine {
				break
			}
		}
		text := b.String()
		if len(text) > maxLogLine {
			text = strings.ToValidUTF8(text[:maxLogLine], "") + "…"
		}
		attrs := []slog.Attr{slog.String("at", vm.caller())}
		log := vm.set.options.Log
		if vm.host != nil {
			log = vm.host.Log()
		}
		log.LogAttrs(context.Background(), level, text, attrs...)
		return goja.Undefined()
	}
}

// caller is the position in a script that called a host function.
func (vm *VM) caller() string {
	for _, f := range vm.rt.CaptureCallStack(8, nil) {
		if p := f.Position(); p.Filename != "" && p.Line > 0 && !strings.HasPrefix(p.Filename, "<") {
			return fmt.Sprintf("%s:%d:%d", p.Filename, p.Line, p.Column+1)
		}
	}
	return ""
}

// inspect shows a value as a person would write it down.
func (vm *VM) inspect(v goja.Value) (text string) {
	o, ok := v.(*goja.Object)
	if !ok {
		return v.String()
	}
	if o.ClassName() == "Error" {
		e := vm.errorOf(o)
		text = e.Name + ": " + e.Message
		if e.Stack != "" {
			text += "\n" + e.Stack
		}
		return text
	}
	if _, callable := goja.AssertFunction(o); callable {
		return "[function]"
	}
	if ex := vm.rt.Try(func() {
		if s, ok := vm.stringify(v); ok {
			text = s
		} else {
			text = v.String()
		}
	}); ex != nil {
		return "[" + o.ClassName() + "]"
	}
	return text
}
