import { test, expect } from 'dotdo/test'
import { dayName, dayOf, momentName } from '../page/day.ts'

test('days have names', () => {
  const name = (day: string) => dayName(day, new Date(2026, 2, 1, 0, 30), (date) => `named ${dayOf(date)}`)
  expect(name('2026-03-01')).toBe('Today')
  expect(name('2026-02-28')).toBe('Yesterday')
  expect(name('2026-02-27')).toBe('named 2026-02-27')
  expect(dayOf(new Date(2026, 0, 2, 23, 59))).toBe('2026-01-02')
})

test('what was today has its hour alone', () => {
  const named = { hour: (date: Date) => `${date.getHours()}:${date.getMinutes()}`, day: dayOf }
  const name = (time: Date) => momentName(time, new Date(2026, 2, 1, 0, 30), named)
  expect(name(new Date(2026, 2, 1, 0, 5))).toBe('0:5')
  expect(name(new Date(2026, 1, 28, 23, 55))).toBe('Yesterday, 23:55')
  expect(name(new Date(2025, 2, 1, 0, 5))).toBe('2025-03-01, 0:5')
})
