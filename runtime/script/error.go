package script

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
)

// Error is an error that a script caused, with the author's position.
type Error struct {
	Name    string // TypeError, TimeoutError, ...
	Message string
	File    string // relative to the scripts folder; "" if unknown
	Line    int    // from 1
	Column  int    // from 1
	Stack   string // one frame a line, innermost first
	// Permanent: another attempt would end the same way.
	Permanent bool
	// Remote: it happened in another object, which has reported it.
	Remote bool
	// Reported: it is in the log. Host.ScriptError says so.
	Reported bool
	// ByCaller: it is the mistake of whoever made a live call. Who awaits the
	// result may have expected it; else it is reported there.
	ByCaller bool

	frame   string
	runtime bool // raised by the runtime, not by a script of the same name
}

func (e *Error) Error() string {
	s := e.Message
	if e.Name != "" && e.Name != "Error" {
		s = e.Name + ": " + s
	}
	if p := e.Position(); p != "" {
		s = p + ": " + s
	}
	return s
}

// Position is file:line:column, or "" if it is not known.
func (e *Error) Position() string {
	if e.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// Frame is the line of the script with a caret under the column, for a person to
// read in a font of fixed width. Errors of Load that have a position have one; of
// others it is "".
func (e *Error) Frame() string { return e.frame }

// same reports whether two errors tell of the same mishap: one of them was made of
// the other, perhaps.
func (e *Error) same(other *Error) bool {
	return other != nil && e.Name == other.Name && e.Message == other.Message &&
		(e.File == "" || other.File == "" || e.Position() == other.Position())
}

// Names of errors that the runtime itself raises.
const (
	TimeoutError    = "TimeoutError"    // a turn, call or request took too long
	LimitError      = "LimitError"      // a turn collected more than it may
	OverloadedError = "OverloadedError" // an inbox is full
	HibernatedError = "AbortError"      // the activation that waited is gone
	// UnavailableError: the program stops, or a commit failed. Try again.
	UnavailableError = "UnavailableError"
	// StorageError: a read failed, because the database is damaged or the disk is. The
	// turn fails with it, whether or not a script catches it.
	StorageError = "StorageError"
	// ReloadedError: the scripts were replaced while something was not settled.
	ReloadedError = "Reloaded"
	// OutOfServiceError: a turn of the object cannot be interrupted.
	OutOfServiceError = "OutOfServiceError"
	internalError     = "InternalError" // a bug of the runtime
)

// IsPermanent reports whether another attempt would end the same way.
func (e *Error) IsPermanent() bool { return e.Permanent }

// IsTransient reports whether the error is none of what was tried: it says
// nothing about another attempt.
func (e *Error) IsTransient() bool {
	if !e.runtime {
		return false
	}
	switch e.Name {
	case UnavailableError, OverloadedError, OutOfServiceError, HibernatedError, ReloadedError:
		return true
	}
	return false
}

// IsStorage reports whether the storage could not be read. That is in the log.
func (e *Error) IsStorage() bool { return e.runtime && e.Name == StorageError }

// NewError makes an error without a position.
func NewError(name, format string, args ...any) *Error {
	return &Error{Name: name, Message: fmt.Sprintf(format, args...), runtime: true}
}

// frameRE finds a position in a line of a goja stack: "at name (file:line:col(pc))".
var frameRE = regexp.MustCompile(`([^\s()]+):(\d+):(\d+)(?:\(\d+\))?\)?\s*$`)

// toError turns what goja returned or threw into an Error.
func (vm *VM) toError(err error) *Error {
	var interrupted *goja.InterruptedError
	if errors.As(err, &interrupted) {
		e := &Error{Name: TimeoutError, Message: fmt.Sprint(interrupted.Value())}
		if cause, ok := interrupted.Value().(*Error); ok {
			e = &Error{Name: cause.Name, Message: cause.Message}
		}
		e.fromFrames(interrupted.Stack())
		return e
	}
	var overflow *goja.StackOverflowError
	if errors.As(err, &overflow) {
		e := &Error{Name: "RangeError", Message: "Maximum call stack size exceeded"}
		e.fromFrames(overflow.Stack())
		return e
	}
	var exception *goja.Exception
	if errors.As(err, &exception) {
		e := vm.errorOf(exception.Value())
		if e.File == "" {
			e.fromFrames(exception.Stack())
		}
		return e
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	return &Error{Name: internalError, Message: err.Error()}
}

// errorOf describes a thrown or rejected value. The value's own properties are
// read with care: a script may have made them getters that throw.
func (vm *VM) errorOf(v goja.Value) *Error {
	o, ok := v.(*goja.Object)
	if !ok {
		if v == nil {
			v = goja.Undefined()
		}
		e := &Error{Name: "Error", Message: "thrown: " + vm.describe(v)}
		vm.placeOf(e, v)
		return e
	}
	e := &Error{Name: "Error"}
	if s, ok := vm.stringProperty(o, "name"); ok {
		e.Name = clip(s, maxErrorName)
	}
	if s, ok := vm.stringProperty(o, "message"); ok {
		e.Message = clip(s, maxErrorText)
	} else {
		e.Message = "thrown: an object without a message"
	}
	_ = vm.rt.Try(func() { e.runtime = o.GetSymbol(reloadedMark) != nil })
	if pos, ok := vm.stringProperty(o, "position"); ok { // of a call that failed elsewhere
		e.setPosition(pos)
	}
	_ = vm.rt.Try(func() { e.Remote = o.GetSymbol(remoteMark) != nil })
	if s, ok := vm.stringProperty(o, "stack"); ok {
		var supers map[string]struct{}
		if vm.isSubclass(o) {
			supers = vm.set.supers
		}
		e.fromStack(s, supers)
	}
	vm.placeOf(e, o)
	return e
}

// fromStack reads the stack that a script sees. The innermost frames are left out
// if they are at one of the given positions: where a subclass of Error calls super.
func (e *Error) fromStack(stack string, supers map[string]struct{}) {
	var frames, inner []string
	var at file.Position
	for line := range strings.Lines(stack) {
		frame, p := readFrame(line)
		if frame == "" {
			continue
		}
		if _, isSuper := supers[p.String()]; isSuper && len(frames) == 0 {
			if inner = append(inner, frame); at.Filename == "" {
				at = p
			}
			continue
		}
		if frames = append(frames, frame); len(frames) == 1 {
			at = p
		}
	}
	if len(frames) == 0 {
		frames = inner
	}
	if e.File == "" {
		e.File, e.Line, e.Column = at.Filename, at.Line, at.Column
	}
	e.Stack = joinFrames(frames)
}

// Bounds of what an error takes in the log and on its way to a caller.
const (
	maxErrorName = 100     // bytes
	maxErrorText = 4 << 10 // bytes of its message
	maxFrames    = 20      // lines of its stack
)

func joinFrames(frames []string) string {
	if n := len(frames) - maxFrames; n > 0 {
		frames = append(frames[:maxFrames:maxFrames], fmt.Sprintf("... and %d more", n))
	}
	return strings.Join(frames, "\n")
}

// isSubclass reports whether an error is of a script's own class.
func (vm *VM) isSubclass(o *goja.Object) (own bool) {
	_ = vm.rt.Try(func() {
		if c, ok := o.Get("constructor").(*goja.Object); ok {
			name, _ := vm.stringProperty(c, "name")
			own = vm.rt.GlobalObject().Get(name) != c
		}
	})
	return own
}

// readFrame reads one line of a stack, and returns it, trimmed, and the position
// in it. A line without a position in a script gives "".
func readFrame(line string) (string, file.Position) {
	line = strings.TrimSpace(line)
	m := frameRE.FindStringSubmatchIndex(line)
	if m == nil || line[m[2]] == '<' || !strings.HasPrefix(line, "at ") {
		return "", file.Position{}
	}
	p := file.Position{Filename: line[m[2]:m[3]]}
	p.Line, _ = strconv.Atoi(line[m[4]:m[5]])
	p.Column, _ = strconv.Atoi(line[m[6]:m[7]])
	frame := fmt.Sprintf("%s:%d:%d", line[:m[3]], p.Line, p.Column)
	if strings.HasSuffix(line[:m[2]], "(") {
		frame += ")"
	}
	return frame, p
}

// setStack gives an error made by the host the stack that a script sees. Lines
// are like those of Error.Stack.
func (vm *VM) setStack(o *goja.Object, lines ...string) {
	name, _ := vm.stringProperty(o, "name")
	message, _ := vm.stringProperty(o, "message")
	text := name + ": " + message
	for _, line := range lines {
		if frame, _ := readFrame(line); frame != "" {
			text += "\n\t" + frame
		}
	}
	must(o.DefineDataProperty("stack", vm.rt.ToValue(text), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}

// inScript reports whether a file is one of the author's: not native code, not the
// runtime's own.
func inScript(name string) bool { return name != "" && !strings.HasPrefix(name, "<") }

func (e *Error) setPosition(pos string) {
	m := frameRE.FindStringSubmatch(pos)
	if m == nil {
		return
	}
	e.File = m[1]
	e.Line, _ = strconv.Atoi(m[2])
	e.Column, _ = strconv.Atoi(m[3])
}

func (e *Error) fromFrames(frames []goja.StackFrame) {
	var lines []string
	for _, f := range frames {
		p := f.Position()
		if !inScript(p.Filename) {
			continue
		}
		if e.File == "" {
			e.File, e.Line, e.Column = p.Filename, p.Line, p.Column
		}
		lines = append(lines, fmt.Sprintf("at %s (%s:%d:%d)", f.FuncName(), p.Filename, p.Line, p.Column))
	}
	e.Stack = joinFrames(lines)
}

// reloadedMark is on errors that the runtime made because scripts were replaced.
var reloadedMark = goja.NewSymbol("reloaded")

// stringProperty reads a string property; a getter that throws counts as none.
func (vm *VM) stringProperty(o *goja.Object, name string) (s string, ok bool) {
	ex := vm.rt.Try(func() {
		if v := o.Get(name); v != nil && !goja.IsUndefined(v) && !goja.IsNull(v) {
			s, ok = v.String(), true
		}
	})
	if ex != nil {
		return "", false
	}
	return s, ok
}

// describe shows a value in an error message or a log line.
func (vm *VM) describe(v goja.Value) string {
	s := "?"
	_ = vm.rt.Try(func() {
		if stub := vm.stubOf(v); stub != nil {
			s = stub.String()
		} else {
			s = v.String()
		}
	})
	return clip(s, 200) // enough to recognise it, too little to flood a log
}

// clip cuts a text down to so many bytes.
func clip(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// explain raises an error of encode again, with what could not be encoded. What a
// getter of the script threw stays as it is.
func (vm *VM) explain(err error, format string, args ...any) {
	if err == nil {
		return
	}
	switch cause := vm.toError(err); cause.Name {
	case "RangeError", "DataCloneError":
		vm.throwError(cause.Name, "%s: %s", fmt.Sprintf(format, args...), cause.Message)
	}
	vm.check(err)
}

// errorValue makes a script's error object of an Error, for a call that failed
// in another object. The position there is in its property position, and in its
// stack, as there is none here.
func (vm *VM) errorValue(e *Error) goja.Value {
	o := vm.newError(e.Name, e.Message)
	if e.runtime && e.Name == ReloadedError { // whoever fails for it has not failed by itself
		must(o.DefineDataPropertySymbol(reloadedMark, vm.rt.ToValue(true), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	}
	if p := e.Position(); p != "" {
		stack := strings.Split(e.Stack, "\n")
		if frame, _ := readFrame(stack[0]); frame == "" {
			stack = []string{"at " + p}
		}
		vm.setStack(o, stack...)
		must(o.DefineDataProperty("position", vm.rt.ToValue(p), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
	if e.Reported || e.Remote {
		must(o.DefineDataPropertySymbol(remoteMark, vm.rt.ToValue(true), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	}
	return o
}

// remoteMark is on errors of calls that the target has reported. No script can
// name it.
var remoteMark = goja.NewSymbol("remote")
