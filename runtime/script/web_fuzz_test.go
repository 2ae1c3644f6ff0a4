package script

import (
	"encoding/json"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// FuzzJSON compares JSON.parse with encoding/json, and has JSON.stringify write
// what JSON.parse has read.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,"\ud800\u0041",null,{"":true}]}`, chatMessage, `[1e999,-0,0.1,12345678901234567890]`, `"\ud83d\ude00\u2028"`, `{"__proto__":{"x":1},"a":1,"a":2}`, ` [ ] `, `01`, `1.`, `"\x"`, "\"\n\"", `[1,]`, `{"a"}`, `nul`, "\u00a01", strings.Repeat("[", 499) + strings.Repeat("]", 499), strings.Repeat(`{"a":`, 501) + "1" + strings.Repeat("}", 501)} {
		f.Add(s)
	}
	vm := newTestVM(f)
	stringify, _ := goja.AssertFunction(vm.rt.Get("JSON").ToObject(vm.rt).Get("stringify"))
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip() // what comes from outside is checked before
		}
		var v goja.Value
		ex := vm.rt.Try(func() { v = vm.parse(text) })
		if deep := depthOf(text); ex != nil && deep > maxDepth && strings.Contains(ex.Error(), "nested deeper") {
			return
		} else if deep > maxDepth && json.Valid([]byte(text)) {
			t.Fatalf("%q is %d deep, and parsed: %v", text, deep, ex)
		}
		if valid := json.Valid([]byte(text)); valid != (ex == nil) {
			t.Fatalf("%q: valid is %v, but %v", text, valid, ex)
		}
		if ex != nil {
			return
		}
		want := decodeJSON(t, text)
		if got := exported(v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, want %#v", text, got, want)
		}
		written, err := stringify(goja.Undefined(), v)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if again := decodeJSON(t, written.String()); !reflect.DeepEqual(again, finite(want)) {
			t.Fatalf("%q is written as %s", text, written)
		}
	})
}

func depthOf(text string) (most int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			most = max(most, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return most
}

func decodeJSON(t *testing.T, text string) any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return numbers(v, func(f float64) any { return f })
}

// numbers replaces the numbers in a value.
func numbers(v any, with func(float64) any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := strconv.ParseFloat(string(v), 64) // out of range is infinity
		return with(f)
	case float64:
		return with(v)
	case map[string]any:
		for name, member := range v {
			v[name] = numbers(member, with)
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i], with)
		}
	}
	return v
}

// finite is what JSON.stringify makes of infinity: null.
func finite(v any) any {
	return numbers(v, func(f float64) any {
		if math.IsInf(f, 0) {
			return nil
		}
		return f
	})
}

// exported is a value of plain objects and arrays as encoding/json would have it.
func exported(v goja.Value) any {
	switch kindOf(v) {
	case nullKind:
		return nil
	case boolKind:
		return v.ToBoolean()
	case intKind, floatKind:
		return v.ToFloat()
	case stringKind:
		return v.String()
	}
	o := v.(*goja.Object)
	if o.ClassName() == "Array" {
		items := make([]any, length(o))
		for i := range items {
			items[i] = exported(o.Get(strconv.Itoa(i)))
		}
		return items
	}
	members := map[string]any{}
	for _, name := range o.Keys() {
		member := o.Get(name)
		if member == nil { // a name with half a surrogate pair, which goja cannot look up
			continue
		}
		members[name] = exported(member)
	}
	return members
}

// FuzzText compares TextDecoder with the decoder of the Encoding Standard, whole and
// in pieces; and base64 both ways.
func FuzzText(f *testing.F) {
	for _, s := range []string{"a€😀", "\xef\xbb\xbfa", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80\xff", "\xe2\x82a", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xef\xbb", "\xe0\x9f\xbf"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(2))
	}
	vm := newTestVM(f)
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		want := decodeByStandard(data)
		for _, fatal := range []bool{false, true} {
			whole := textDecoder{fatal: fatal, ignoreBOM: true}
			if got, ok := whole.decode(string(data), false); ok != (!fatal || utf8.Valid(data)) || ok && got != want {
				t.Fatalf("%q: %q, %v; want %q", data, got, ok, want)
			}
			var pieces strings.Builder
			d := textDecoder{fatal: fatal, ignoreBOM: true}
			allOK := true
			for rest := data; allOK; {
				n := min(len(rest), 1+int(step%5))
				got, ok := d.decode(string(rest[:n]), n < len(rest))
				pieces.WriteString(got)
				allOK = ok
				if rest = rest[n:]; len(rest) == 0 {
					break
				}
			}
			if allOK != (!fatal || utf8.Valid(data)) || allOK && pieces.String() != want {
				t.Fatalf("%q in pieces: %q, %v; want %q", data, pieces.String(), allOK, want)
			}
		}
		var d textDecoder
		if got, _ := d.decode(string(data), false); got != strings.TrimPrefix(want, bom) {
			t.Fatalf("%q: %q", data, got)
		}
		must(vm.rt.Set("bytes", vm.newBytes("Uint8Array", slices.Clone(data))))
		if got := vm.eval(t, `{ const text = String.fromCharCode(...bytes); String(atob(btoa(text)) === text) }`); got != "true" {
			t.Fatalf("%q in base64 and back: %s", data, got)
		}
	})
}

// decodeByStandard is the UTF-8 decoder of encoding.spec.whatwg.org, byte by byte.
func decodeByStandard(data []byte) string {
	var out []rune
	var point rune
	needed, lower, upper := 0, byte(0x80), byte(0xBF)
	for i := 0; i < len(data); i++ {
		b := data[i]
		if needed == 0 {
			switch {
			case b < 0x80:
				out = append(out, rune(b))
			case b >= 0xC2 && b <= 0xDF:
				needed, point = 1, rune(b&0x1F)
			case b >= 0xE0 && b <= 0xEF:
				needed, point = 2, rune(b&0xF)
				if b == 0xE0 {
					lower = 0xA0
				} else if b == 0xED {
					upper = 0x9F
				}
			case b >= 0xF0 && b <= 0xF4:
				needed, point = 3, rune(b&7)
				if b == 0xF0 {
					lower = 0x90
				} else if b == 0xF4 {
					upper = 0x8F
				}
			default:
				out = append(out, utf8.RuneError)
			}
			continue
		}
		inRange := b >= lower && b <= upper
		lower, upper = 0x80, 0xBF
		if !inRange {
			needed = 0
			out = append(out, utf8.RuneError)
			i-- // once more
			continue
		}
		point = point<<6 | rune(b&0x3F)
		if needed--; needed == 0 {
			out = append(out, point)
		}
	}
	if needed > 0 {
		out = append(out, utf8.RuneError)
	}
	return string(out)
}

// quickly does something that must not take longer, and does it again if it does: a
// machine that others use too may stand still for a while.
func quickly(t *testing.T, most time.Duration, f func()) {
	t.Helper()
	var all []time.Duration
	for range 3 {
		start := time.Now()
		f()
		took := time.Since(start)
		if took <= most {
			return
		}
		all = append(all, took)
	}
	t.Fatalf("it took %v, want %v at most", all, most)
}

// FuzzURL parses URLs and queries: it must end, quickly, with a URL or a
// TypeError; and what it makes of a query is what net/url makes of it, and what
// it reads of its own writing.
func FuzzURL(f *testing.F) {
	for _, s := range [][2]string{
		{"https://user:pass@example.com:8080/a/../b?x=1&y=%20+#h", ""}, {"../x?y", "http://a/b/c"}, {"http://[::1]:80/", ""}, {"http://0x7f.1/", ""}, {"file:///C|/x", ""}, {"a=1&a=2&b=%zz&%E2%82=+", ""},
		{"http://ex%41mple.com/", ""}, {"http://xn--/", ""}, {"blob:https://a/b", ""}, {"//x", "ws://y"}, {"http://a\u00ad.com", ""}, {"http://1.2.3.4.5", ""}, {"data:,x", ""}, {"?", "mailto:x"},
	} {
		f.Add(s[0], s[1])
	}
	vm := newTestVM(f)
	f.Fuzz(func(t *testing.T, text, base string) {
		if len(text)+len(base) > 2000 || !utf8.ValidString(text) || !utf8.ValidString(base) {
			t.Skip()
		}
		must(vm.rt.Set("text", text))
		must(vm.rt.Set("base", base))
		got := ""
		quickly(t, 2*time.Second, func() {
			got = vm.eval(t, `{
				const u = base ? new URL(text, base) : new URL(text)
				for (const part of ['protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash']) { const v = u[part]; u[part] = text; u[part] = v }
				u.searchParams.append(text, base)
				u.searchParams.sort()
				String(URL.canParse(u.href) || u.href)
			}`)
		})
		if got != "true" && !strings.HasPrefix(got, "TypeError: Invalid URL") {
			t.Fatalf("%q, %q: %s", text, base, got)
		}
		list := parseSearch(text)
		if again := parseSearch((&searchParams{list: list}).String()); !slices.Equal(again, list) {
			t.Fatalf("%q is %q, and then %q", text, list, again)
		}
		want, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		have := url.Values{}
		for _, p := range list {
			have.Add(p.Name, p.Value)
		}
		for name, values := range want {
			for i := range values {
				values[i] = decodeUTF8(values[i])
			}
			if utf8.ValidString(name) && !strings.Contains(name, "\uFFFD") && !slices.Equal(have[name], values) {
				t.Fatalf("%q: %q is %q, want %q", text, name, have[name], values)
			}
		}
	})
}

// FuzzHeaders sets headers to whatever text: what is taken can be sent.
func FuzzHeaders(f *testing.F) {
	for _, s := range [][2]string{{"a", "b"}, {"Set-Cookie", "a=b"}, {"x y", "z"}, {"a\r\nb", "c"}, {"a", "b\r\nc: d"}, {"a", " b\t"}, {"é", "x"}, {"x", "é"}, {"", ""}, {"a:", "b"}, {"a", "b\x00"}, {"a", "\x7f"}} {
		f.Add(s[0], s[1])
	}
	vm := newTestVM(f)
	name := regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	f.Fuzz(func(t *testing.T, n, value string) {
		if !utf8.ValidString(n) || !utf8.ValidString(value) {
			t.Skip()
		}
		must(vm.rt.Set("n", n))
		must(vm.rt.Set("value", value))
		got := vm.eval(t, `{ const h = new Headers([[n, value]]); h.append(n, value); h.set(n, value); [...h].map(([k, v]) => k + '\n' + v).join('\n') }`)
		sendable := name.MatchString(n) && !strings.ContainsAny(value, "\r\n\x00")
		trimmed := strings.Trim(value, " \t\r\n")
		switch {
		case strings.HasPrefix(got, "TypeError: "):
			if name.MatchString(n) && regexp.MustCompile(`^[ -~]*$`).MatchString(value) {
				t.Fatalf("%q: %q is refused: %s", n, value, got)
			}
		case !sendable && strings.ContainsAny(trimmed, "\r\n\x00") || !name.MatchString(n):
			t.Fatalf("%q: %q is taken: %q", n, value, got)
		case got != strings.ToLower(n)+"\n"+trimmed:
			t.Fatalf("%q: %q is %q", n, value, got)
		}
	})
}

// FuzzCron gives $.every whatever strings: it refuses them, or their times come,
// one after the other, and are quickly found.
func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 9 * * 1", "@weekly", "@reboot", "0 0 31 2 *", "0 0 29 2 *", "*/7 1-5/2 L * 5#2", "59 23 31 12 *", "1,2,3 * * JAN MON-FRI", "* * * * * *", "99 * * * *", "0 0 W * *", "*/0 * * * *", "5-1 * * * *", "0 0 30 2 1", "0 0 15W * ?", "0 0 * * 7"} {
		f.Add(s, int64(1700000000))
	}
	vm := newTestVM(f)
	f.Fuzz(func(t *testing.T, cron string, seconds int64) {
		if len(cron) > 200 {
			t.Skip()
		}
		cron = strings.Join(strings.Fields(cron), " ")
		quickly(t, 2*time.Second, func() {
			if ex := vm.rt.Try(func() { vm.checkCron(cron) }); ex != nil {
				if !strings.HasPrefix(ex.Error(), "TypeError: $.every: ") {
					t.Fatalf("%q: %v", cron, ex)
				}
				return
			}
			s := Schedule{Cron: cron}
			after := time.Unix(seconds%4e9, 0).UTC() // within 130 years
			at, err := s.Next(after)
			if err != nil || !at.After(after) || at.Second() != 0 {
				t.Fatalf("%q after %v: %v, %v", cron, after, at, err)
			}
			if due, ok, err := s.Due(after, at); err != nil || !ok || !due.Equal(at) {
				t.Fatalf("%q: %v is due, %v, %v; want %v", cron, due, ok, err, at)
			}
			if _, ok, err := s.Due(after, at.Add(-time.Second)); err != nil || ok {
				t.Fatalf("%q: something is due before %v, %v", cron, at, err)
			}
		})
	})
}

// FuzzMentions compares extractMentions with a walk over the letters.
func FuzzMentions(f *testing.F) {
	for _, s := range []string{"hello @bob, @ann.", "a@b.c", "@@x", "@a-b_c.d-", "@é😀", "(@x)@y", "@" + strings.Repeat("x", 70), "@a@b", "@a.@b"} {
		f.Add(s)
	}
	vm := newTestVM(f)
	extract, _ := goja.AssertFunction(newExtractMentions(vm))
	word := regexp.MustCompile(`[\pL\pN_]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := extract(goja.Undefined(), vm.rt.ToValue(text))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[any]bool{}
		rest := strings.ToValidUTF8(text, "\uFFFD")
		for _, name := range exported(v).([]any) {
			runes := []rune(name.(string))
			first, last := string(runes[0]), string(runes[len(runes)-1])
			if seen[name] || len(runes) > 64 || !word.MatchString(first) || !word.MatchString(last) || !strings.Contains(rest, "@"+name.(string)) {
				t.Fatalf("%q mentions %q", text, name)
			}
			seen[name] = true
		}
		// A name between spaces is found wherever it stands.
		v, err = extract(goja.Undefined(), vm.rt.ToValue(text+" @zz_9 "+text))
		if err != nil || !slices.Contains(exported(v).([]any), any("zz_9")) {
			t.Fatalf("%q hides a mention: %v, %v", text, v, err)
		}
	})
}

// FuzzPosition reads stacks that scripts may have written themselves.
func FuzzPosition(f *testing.F) {
	for _, s := range []string{"at say (room.js:12:5(33))", "Error: x\n\tat room.js:1:2(3)\n\tat f (lib/a b.ts:9:1(0))", "at native", "at <eval>:1:2(3)", "at x (a:99999999999999999999:1(1))", "room.js:1:2", "at (((:1:1(1))))", "at a:1:0\u00a0", strings.Repeat("at f (room.js:3:4(5))\n", 50)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stack string) {
		e := &Error{}
		e.fromStack(stack, map[string]struct{}{"room.js:1:2": {}})
		if lines := strings.Count(e.Stack, "\n") + 1; lines > maxFrames+1 {
			t.Fatalf("%q has a stack of %d lines", stack, lines)
		}
		if e.File == "" {
			return
		}
		again := &Error{}
		if again.setPosition(e.Position()); again.Position() != e.Position() {
			t.Fatalf("%q is at %q, and then at %q", stack, e.Position(), again.Position())
		}
	})
}
