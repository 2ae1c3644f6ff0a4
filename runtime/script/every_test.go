package script

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestEveryIsFound(t *testing.T) {
	set, err := load(t, map[string]string{"a.js": `import { $ } from 'dotdo'
$.every('0  9 * * 1', () => {})
$.every.minute(() => {})
$.every.hour(() => {})
$.every.day(() => {})
$.every('@weekly', () => {})
$.every('*/5 8-17 * JAN,jul MON-FRI', () => {}, { name: 'work', maxRetries: 0 })
$.every.minute(() => {})
$.on.Note.made(() => {})
`})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range set.Schedules() {
		if s.Object.String() != "Handler/"+s.Name {
			t.Errorf("%s runs in %s", s.Name, s.Object)
		}
		got = append(got, fmt.Sprint(s.Name, "|", s.Cron, "|", s.File, "|", s.MaxRetries))
	}
	want := `a.js#every 0 9 * * 1|0 9 * * 1|a.js|5
a.js#every * * * * *|* * * * *|a.js|5
a.js#every 0 * * * *|0 * * * *|a.js|5
a.js#every 0 0 * * *|0 0 * * *|a.js|5
a.js#every @weekly|@weekly|a.js|5
work|*/5 8-17 * JAN,jul MON-FRI|a.js|0
a.js#every * * * * *#2|* * * * *|a.js|5`
	if strings.Join(got, "\n") != want {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if every := set.Parts()[0].Every; len(every) != 7 || every[0] != "0 9 * * 1" {
		t.Errorf("shown as %q", every)
	}
}

// A wrong schedule is an error where it is written.
func TestEveryThatIsWrong(t *testing.T) {
	for call, message := range map[string]string{
		`$.every('60 * * * *', f)`:                                   `"60 * * * *" is no cron string: segment#1: '60' out of bounds(0, 59)`,
		`$.every('* * * *', f)`:                                      `"* * * *" has 4 fields, not five`,
		`$.every('0 * * * * *', f)`:                                  `"0 * * * * *" has 6 fields, not five`,
		`$.every('', f)`:                                             `"" has 0 fields`,
		`$.every('0 9 * * XYZ', f)`:                                  `is no cron string`,
		`$.every('*/0 * * * *', f)`:                                  `is no cron string`,
		`$.every('99/2 * * * *', f)`:                                 `no time ever is "99/2 * * * *"`,
		`$.every('0 0 30 2 *', f)`:                                   `no time ever is "0 0 30 2 *"`,
		`$.every('@often', f)`:                                       `"@often" is none of @yearly`,
		`$.every('@everysecond', f)`:                                 `is none of`,
		`$.every('TZ=Asia/Tokyo 0 9 * * *', f)`:                      `has 6 fields`,
		`$.every(5, f)`:                                              `takes a cron string, not 5`,
		`$.every('0 9 * * *')`:                                       `$.every takes a function`,
		`$.every.hour('0 9 * * *', f)`:                               `$.every takes a function`,
		`$.every.hour(f, { maxRetries: 101 })`:                       `maxRetries is a whole number from 0 to 100, not 101`,
		`$.every.hour(f, { nmae: 'x' })`:                             `unknown option "nmae"`,
		`$.every.minute(f, { name: 'x' }), $.on.A.b(f, {name: 'x'})`: `the handler "x" is defined in a.ts and in a.ts`,
	} {
		_, err := load(t, map[string]string{"a.ts": "import { $ } from 'dotdo'\nconst f: () => void = () => {}\n\n  " + call + "\n"})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, message) {
			t.Errorf("%s: %v, want %q", call, err, message)
			continue
		}
		if !strings.Contains(message, "defined in") && (e.File != "a.ts" || e.Line != 4 || e.Column < 3) {
			t.Errorf("%s is wrong at %s", call, e.Position())
		}
	}
}

func TestScheduleDue(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, test := range []struct{ cron, after, until, want string }{
		{"0 9 * * 1", "2026-11-23 08:59:30", "2026-11-23 08:59:59", ""},
		{"0 9 * * 1", "2026-11-23 08:59:30", "2026-11-23 09:00:00", "2026-11-23 09:00:00"},
		{"0 9 * * 1", "2026-11-23 09:00:00", "2026-11-30 08:59:59", ""},
		{"0 9 * * 1", "2026-11-01 09:00:00", "2026-11-29 10:00:00", "2026-11-23 09:00:00"}, // the last that was missed
		{"* * * * *", "2026-11-23 09:00:00", "2026-11-23 09:00:59", ""},
		{"* * * * *", "2026-11-23 09:00:00", "2027-11-23 09:00:59", "2027-11-23 09:00:00"},
		{"0 0 31 * *", "2026-01-31 00:00:00", "2026-03-30 00:00:00", ""},
		{"0 0 31 * *", "2026-01-31 00:00:00", "2026-03-31 00:00:00", "2026-03-31 00:00:00"},
		{"0 0 29 2 *", "2026-01-31 00:00:00", "2028-03-31 00:00:00", "2028-02-29 00:00:00"},
		{"0 0 1 * 1", "2026-11-23 00:00:00", "2026-11-30 00:00:00", "2026-11-30 00:00:00"}, // one of the two days is enough
		{"@daily", "2026-12-31 12:00:00", "2027-01-01 00:00:00", "2027-01-01 00:00:00"},
	} {
		got, ok, err := Schedule{Cron: test.cron}.Due(at(test.after), at(test.until))
		if err != nil || ok != (test.want != "") || ok && !got.Equal(at(test.want)) {
			t.Errorf("%s after %s until %s: %v %v %v, want %q", test.cron, test.after, test.until, got, ok, err, test.want)
		}
	}
}

func TestANounHasOneAlarm(t *testing.T) {
	part := func(fields string) string {
		return "import { DO } from 'dotdo'\nexport default DO.extend({" + fields + "})"
	}
	_, err := load(t, map[string]string{"a.js": part("$type: 'Room', alarm() {}"), "b.js": part("$type: 'Room', alarm() {}")})
	if err == nil || !strings.Contains(err.Error(), "Room.alarm is defined in a.js and in b.js") {
		t.Errorf("two alarms: %v", err)
	}
	set, err := load(t, map[string]string{"a.js": part("alarm() {}"), "b.js": part("$type: 'Room', alarm() {}"), "c.js": part("$type: 'User'")})
	if err != nil {
		t.Fatal(err)
	}
	if room, user := set.noun("Room").alarm.file, set.noun("User").alarm.file; room != "b.js" || user != "a.js" {
		t.Errorf("the alarm of Room is that of %s, of User that of %s", room, user)
	}
	if set.noun("Room").owner["alarm"] != nil {
		t.Error("other objects can call alarm()")
	}
}
