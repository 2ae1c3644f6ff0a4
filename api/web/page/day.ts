// Days, and what they are called.

/** The day of a date where this person is: 2026-02-01. */
export function dayOf(date: string | number | Date): string {
  const d = new Date(date)
  return [d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, '0')).join('-')
}

/** What a day is called: Today, Yesterday, or by its name. named says the name of a date. */
export function dayName(day: string, now: Date, named: (date: Date) => string): string {
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1) // a day may have 23 hours
  if (day === dayOf(now)) return 'Today'
  if (day === dayOf(yesterday)) return 'Yesterday'
  const [year, month, date] = day.split('-').map(Number)
  return named(new Date(year!, month! - 1, date!))
}

/** When something was, in short: its hour, if that was today, and the day in front else. */
export function momentName(time: Date, now: Date, named: { hour(date: Date): string; day(date: Date): string }): string {
  const hour = named.hour(time)
  return dayOf(time) === dayOf(now) ? hour : `${dayName(dayOf(time), now, named.day)}, ${hour}`
}
